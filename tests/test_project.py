"""Files around the package agree with each other: versions, dependencies, workflows, citation."""

import importlib
import os
import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml

from cgatjax._version import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
release_notes = runpy.run_path(str(ROOT / ".github" / "release_notes.py"))["release_notes"]


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_citation_is_complete_and_of_this_version() -> None:
    found = load("CITATION.cff")
    assert found["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["license"] == PROJECT["license"]
    articles = [found["preferred-citation"], *found["references"]]
    for article in articles:
        assert {"type", "title", "authors", "journal", "year", "doi"} <= set(article)
        assert re.fullmatch(r"10\.\d{4,}/\S+", article["doi"])
        assert all({"family-names", "given-names"} <= set(author) for author in article["authors"])
    assert f"https://doi.org/{articles[0]['doi']}" in (ROOT / "README.md").read_text()


def test_the_conda_recipe_has_the_dependencies_of_the_package() -> None:
    recipe = load("conda/recipe.yaml")
    assert recipe["context"]["version"] == __version__
    runs = [line for line in recipe["requirements"]["run"] if not line.startswith("python ")]
    found = dict(line.split(" ") for line in runs)
    pairs = {f"{CONDA_NAMES.get(name, name)}{bound}" for name, bound in found.items()}
    assert pairs == set(PROJECT["dependencies"])
    assert f"python {PROJECT['requires-python']}" in recipe["requirements"]["run"]


def test_the_lock_file_has_every_dependency_of_the_tests() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {re.split(r"[=\[ ]", line)[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["optional-dependencies"]
    inner = re.search(r"\[(.*?)\]", extras["test"][0])
    assert inner is not None
    of_extras = [d for name in inner[1].split(",") for d in extras[name]]
    wanted = [*PROJECT["dependencies"], *extras["test"][1:], *of_extras]
    names = {re.split(r"[>\[]", d)[0].lower().replace("_", "-") for d in wanted}
    assert names <= locked
    assert all("==" in line for line in lines)


@pytest.mark.parametrize("name", ["ci", "release"])
def test_workflows_run_targets_that_exist(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert all("runs-on" in job and job["steps"] for job in jobs.values())
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"\bmake ([a-z-]+)", text)
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    stages = re.findall(r"^FROM \S+ AS (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if name == "ci":
        assert set(jobs["container"]["strategy"]["matrix"]["target"]) < set(stages)


@pytest.mark.parametrize("form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_issue_forms_have_names_and_unique_fields(form: Path) -> None:
    found = yaml.safe_load(form.read_text())
    if form.name == "config.yml":
        return
    assert found["name"]
    assert found["description"]
    ids = [field["id"] for field in found["body"]]
    assert len(set(ids)) == len(ids)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src" / "cgatjax").mkdir(parents=True)
    (tmp_path / "src" / "cgatjax" / "_version.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CITATION.cff").write_text("version: 1.2.3\n")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n- later\n\n## [1.2.3] - 2030-01-02\n\n- a change\n"
        "\n## [1.2.2] - 2029-01-02\n\n- earlier\n"
    )
    return tmp_path


def test_release_notes_are_the_section_of_the_version(project: Path) -> None:
    assert release_notes("v1.2.3", project) == "- a change\n"


def test_the_workflow_would_release_this_version() -> None:
    assert "### Added" in release_notes(f"v{__version__}")


@pytest.mark.parametrize(
    ("file", "content", "tag", "message"),
    [
        ("CITATION.cff", "version: 1.2.2\n", "v1.2.3", "CITATION"),
        ("CHANGELOG.md", "## [Unreleased]\n", "v1.2.3", "CHANGELOG"),
        ("CITATION.cff", "version: 1.2.3\n", "v1.2.4", "tag v1.2.3"),
    ],
)
def test_a_release_that_does_not_agree_with_its_files_is_refused(
    project: Path, file: str, content: str, tag: str, message: str
) -> None:
    (project / file).write_text(content)
    with pytest.raises(SystemExit, match=message):
        release_notes(tag, project)


def test_the_benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other test runs most of them, and a renamed function would break them unnoticed."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in ("XLA_FLAGS", "JAX_PLATFORMS"):  # one of them sets these for its own process
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for script in (ROOT / "benchmarks").glob("*.py"):
        importlib.import_module(script.stem)
