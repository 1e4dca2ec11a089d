"""Documentation: completeness of API reference and menu, existing files, links, line length."""

import pkgutil
import re
import runpy
from pathlib import Path

import pytest

import cgatjax
from cgatjax.cli import main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
STUB = (ROOT / "src" / "cgatjax" / "__init__.pyi").read_text()
HOMES = {
    name: f"cgatjax.{module}" for module, name in re.findall(r"from \.([\w.]+) import (\w+)", STUB)
}
"""Public name -> its module."""
MARKDOWN = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
WIDTH = 100


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def documented() -> tuple[set[str], dict[str, set[str] | None]]:
    """Return names with their own heading, and modules with the members shown (None: all)."""
    names: set[str] = set()
    modules: dict[str, set[str] | None] = {}
    blocks = re.split(r"^::: ", (DOCS / "api.md").read_text(), flags=re.MULTILINE)[1:]
    for block in blocks:
        name = block.split()[0]
        members = re.search(r"members: \[([^\]]*)\]", block)
        modules[name] = None if members is None else set(re.split(r",\s*", members[1]))
        names.add(name)
    return names, modules


@pytest.mark.parametrize("name", sorted(set(cgatjax.__all__) - {"reference"}))
def test_every_public_name_is_in_the_api_reference(name: str) -> None:
    home = HOMES[name]
    names, modules = documented()
    shown = modules.get(home, set())
    assert f"{home}.{name}" in names or shown is None or name in shown, (
        f"docs/api.md lacks {home}.{name}"
    )


def test_nothing_is_in_the_api_reference_twice() -> None:
    lines = [line for line in (DOCS / "api.md").read_text().splitlines() if line.startswith(":::")]
    assert len(set(lines)) == len(lines)


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {path.relative_to(DOCS).as_posix() for path in DOCS.glob("notebooks/*.py")}
    listed = set(re.findall(r"^\s+- (?:[^:\n]+: )?(\S+\.(?:md|py))$", menu, re.MULTILINE))
    assert listed == pages


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_files_named_on_a_page_exist(page: Path) -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py)(?:::\w+)?`", page.read_text())
    missing = [
        name
        for name in named
        if not (ROOT / name).exists() and not (ROOT / "src" / "cgatjax" / name).exists()
    ]
    assert not missing


def python_names_of(page: Path) -> set[str]:
    """Return the full names of our modules, classes and functions on a page."""
    text = page.read_text()
    names = {f"cgatjax.{name}" for name in re.findall(r"\bcg\.(\w+)", text)}
    names |= set(re.findall(r"`(cgatjax(?:\.\w+)+)", text))
    for module, imported in re.findall(r"from (cgatjax[\w.]*) import (\([^)]*\)|.*)", text):
        names |= {f"{module}.{name}" for name in re.findall(r"\w+", imported)}
    return names


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_python_names_on_a_page_exist(page: Path) -> None:
    for name in python_names_of(page):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_local_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(\s*([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_pages_named_in_the_code_exist() -> None:
    files = [path for folder in ("src", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    missing = {
        f"{relative(path)}: {page}"
        for path in files
        for page in re.findall(r"docs/[\w/]+\.md", path.read_text())
        if not (ROOT / page).exists()
    }
    assert not missing


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_lines_of_a_page_are_wrapped(page: Path) -> None:
    lines = page.read_text().splitlines()
    # Rows of a table and images are one line; the name of a test cannot be broken.
    long = [line for line in lines if len(line) > WIDTH and not line.startswith(("|", "!["))]
    long = [line for line in long if " " in line.strip()]
    assert not long


def test_figures_are_drawn_again(tmp_path: Path) -> None:
    draw = runpy.run_path(str(DOCS / "figures" / "draw.py"))["draw"]
    drawn = {path.name: path.read_text() for path in draw(tmp_path)}
    assert drawn.keys() == {path.name for path in (DOCS / "figures").glob("*.svg")}
    assert "8 x 0.75" in drawn["shells.svg"]
    assert "3 nodes, 12 edges" in drawn["reduction.svg"]
    used = "".join(path.read_text() for path in DOCS.rglob("*.md"))
    assert all(f"figures/{name}" in used for name in drawn)


@pytest.mark.long
def test_the_figures_of_the_results_are_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(DOCS.parent / "benchmarks")
    drawn = runpy.run_path(str(DOCS / "results" / "redraw.py"))["redraw"](tmp_path)
    assert len(drawn) == 11
    assert all((DOCS / "results" / path.relative_to(tmp_path)).is_file() for path in drawn)


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "command_line.py"))
    page = script["PAGE"].read_text()
    assert page == script["page"](), "run PYTHONPATH=src python docs/command_line.py"


def test_the_page_of_the_models_is_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "models.py"))
    assert script["PAGE"].read_text() == script["page"](), (
        "run PYTHONPATH=src python docs/models.py"
    )


def test_broken_links_of_a_site_are_found(tmp_path: Path) -> None:
    broken = runpy.run_path(str(DOCS / "links.py"))["broken"]
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.html").write_text('<h1 id="top">Guide</h1><a href="../x.md">x</a>')
    (tmp_path / "index.html").write_text(
        '<a href="guide/#top">1</a> <a href="guide/#end">2</a> <img src="figure.svg"> '
        '<a href="https://example.org/">3</a> <a href="#">4</a>'
    )
    assert broken(tmp_path) == [
        "guide/index.html: ../x.md",
        "index.html: guide/#end",
        "index.html: figure.svg",
    ]


def commands_of(page: Path) -> list[str]:
    """Return the `cgatjax` commands of a page, each on one line."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^ *(?:srun )?(cgatjax \w.*)$", text, re.MULTILINE)
    return lines + re.findall(r"`(cgatjax [^`]+)`", text)


@pytest.mark.parametrize("page", MARKDOWN, ids=relative)
def test_commands_of_a_page_have_the_options_given(page: Path) -> None:
    known = {
        name: {flag for parameter in command.params for flag in parameter.opts}
        for name, command in main.commands.items()
    }
    for line in commands_of(page):
        name = line.split()[1]
        if name in known:
            options = set(re.findall(r"(?<=\s)--[a-z][a-z-]*", line.split(" #")[0]))
            assert options <= known[name] | {"--help"}, line
