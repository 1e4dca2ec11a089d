# Every target makes the virtual environment that it needs; a second call finds it ready.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# One test process a core, up to four; a file's tests share their process and its fixtures.
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist loadfile

# XLA keeps compiled programs here between runs.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-lowest lint bench docs figures clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'cgatjax needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11 ...' >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp per set of extras, older than pyproject.toml when the dependencies have changed.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$*]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed  ## transfer learning on generated crystals, into demo/ (minutes)
	rm -rf demo
	$(BIN)/cgatjax demo --out demo

test: $(VENV)/.installed-test  ## the test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-lowest:  ## the test suite with the oldest allowed libraries (through uv)
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install -q --python .venv-lowest/bin/python --compile-bytecode \
	  --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-test  ## every benchmark, one after another, into bench/ (BENCH_ARGS="--reference CGAT ...")
	$(BIN)/python benchmarks/suite.py --out bench $(BENCH_ARGS)

docs: $(VENV)/.installed-docs  ## the documentation as a site with executed notebooks, into site/
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/mkdocs build --strict
	$(BIN)/python docs/links.py site

figures: $(VENV)/.installed  ## the drawings of the documentation
	$(BIN)/python docs/figures/draw.py

clean:  ## everything that these targets made, the environment included
	rm -rf $(VENV) .venv-lowest .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks \
	  build dist site demo bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
