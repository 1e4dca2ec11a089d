# Every target creates the virtual environment that it needs, or reuses it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# One test process per core, at most four; the tests of one file share a process and its fixtures.
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist loadfile

# Cache of compiled XLA programs, reused in later runs.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-lowest test-locked lock lint bench docs figures clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'cgatjax needs Python 3.11 or newer; choose one: make PYTHON=/path/to/python3.11 ...' >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp file per set of extras; it is older than pyproject.toml if the dependencies have changed.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$*]'
	@touch $@ $(VENV)/.installed

demo: $(VENV)/.installed  ## run transfer learning on generated crystals, into demo/ (minutes)
	rm -rf demo
	$(BIN)/cgatjax demo --out demo

test: $(VENV)/.installed-test  ## run the test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-lowest:  ## run the test suite with the oldest allowed libraries (through uv)
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install -q --python .venv-lowest/bin/python --compile-bytecode \
	  --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest $(PYTEST_ARGS)

test-locked:  ## run the test suite with the versions of requirements.lock
	$(PYTHON) -m venv .venv-locked
	.venv-locked/bin/python -m pip install -q --disable-pip-version-check -r requirements.lock
	.venv-locked/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
	.venv-locked/bin/python -m pytest $(PYTEST_ARGS)

lock: $(BIN)/python  ## write requirements.lock anew: the newest versions for the tests (through uv)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --no-header \
	  --no-annotate --extra test pyproject.toml -o requirements.lock

lint: $(VENV)/.installed-dev  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-test  ## run all benchmarks, one after another, into bench/ (BENCH_ARGS="--reference CGAT ...")
	$(BIN)/python benchmarks/suite.py --out bench $(BENCH_ARGS)

docs: $(VENV)/.installed-docs  ## build the documentation with executed notebooks, into site/
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/mkdocs build --strict
	$(BIN)/python docs/links.py site

figures: $(VENV)/.installed  ## draw the figures of the documentation
	$(BIN)/python docs/figures/draw.py

clean:  ## delete everything that these targets created, including the environment
	rm -rf $(VENV) .venv-lowest .venv-locked .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks \
	  build dist site demo bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
