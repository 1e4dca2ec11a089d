"""The pages name what there is: every public name, every page in the menu, every figure."""

import re
import runpy
from pathlib import Path

import pytest

import cgatjax

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def documented() -> tuple[set[str], dict[str, set[str] | None]]:
    """Full names with a heading of their own, and modules with the members shown (None: all)."""
    names: set[str] = set()
    modules: dict[str, set[str] | None] = {}
    blocks = re.split(r"^::: ", (DOCS / "api.md").read_text(), flags=re.MULTILINE)[1:]
    for block in blocks:
        name = block.split()[0]
        members = re.search(r"members: \[([^\]]*)\]", block)
        modules[name] = None if members is None else set(re.split(r",\s*", members[1]))
        names.add(name)
    return names, modules


@pytest.mark.parametrize("name", sorted(set(cgatjax.__all__) - {"__version__", "reference"}))
def test_every_public_name_is_in_the_reference(name: str) -> None:
    home = f"cgatjax.{cgatjax._HOME_OF[name]}"
    names, modules = documented()
    shown = modules.get(home, set())
    assert f"{home}.{name}" in names or shown is None or name in shown, (
        f"docs/api.md lacks {home}.{name}"
    )


def test_nothing_is_in_the_reference_twice() -> None:
    lines = [line for line in (DOCS / "api.md").read_text().splitlines() if line.startswith(":::")]
    assert len(set(lines)) == len(lines)


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    pages |= {path.relative_to(DOCS).as_posix() for path in DOCS.glob("notebooks/*.py")}
    listed = set(re.findall(r"^\s+- (?:[^:\n]+: )?(\S+\.(?:md|py))$", menu, re.MULTILINE))
    assert listed == pages


def test_figures_are_drawn_again(tmp_path: Path) -> None:
    draw = runpy.run_path(str(DOCS / "figures" / "draw.py"))["draw"]
    drawn = {path.name: path.read_text() for path in draw(tmp_path)}
    assert drawn.keys() == {path.name for path in (DOCS / "figures").glob("*.svg")}
    assert "8 x 0.75" in drawn["shells.svg"]
    assert "3 nodes, 12 edges" in drawn["reduction.svg"]
    used = "".join(path.read_text() for path in DOCS.rglob("*.md"))
    assert all(f"figures/{name}" in used for name in drawn)


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
