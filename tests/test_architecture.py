"""The house rules that a machine can hold: who imports whom, and which library lives where."""

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "cgatjax"

# From the ground up: a package imports only itself and what stands before it. `cgatjax` is the face
# of the package, its public names, which only what stands above it uses.
ORDER = """
_version errors options config
runtime structures graphs runs data simple_models nn model inference training
labeling synthetic preprocessing pretrained reference screening active_learning
analysis plotting adaptation cgatjax integrations demo cli __main__
""".split()

# Third-party library -> the only modules (or packages) that may import it.
WALLS = {
    "ase": ["labeling", "structures"],
    "chgnet": ["labeling"],
    "gemmi": ["structures"],
    "grain": ["data.loader"],
    "jraph": ["data.batching", "nn.segment"],
    "matplotlib": ["plotting"],
    "optax": [
        "inference.gp_fitting",
        "training.optimizer",
        "training.train_step",
        "training.transfer_params",
    ],
    "orbax": ["runs.checkpoints"],
    "pyarrow": [
        "data",
        "inference.embedding_table",
        "screening.ranked_parquet",
        "structures.archives.parquet",
    ],
    "pymatgen": ["graphs.neighbors", "labeling", "screening.oxidation_states", "structures"],
    "sevenn": ["labeling"],
    "sklearn": [
        "data.pairs",
        "integrations.sklearn_estimator",
        "plotting.embedding_map",
        "simple_models.models",
    ],
    "tensorboardX": ["runs.loggers"],
    "torch": ["reference"],
    "umap": ["plotting.embedding_map"],
    "wandb": ["runs.loggers"],
}
DEVICE_MAPPING = {"pmap", "shard_map", "xmap"}

# Where an import name is not the name to install.
DISTRIBUTIONS = {
    "orbax": "orbax-checkpoint",
    "sklearn": "scikit-learn",
    "tomli_w": "tomli-w",
    "umap": "umap-learn",
}


def module_name(path: Path) -> str:
    """`data.store` for src/cgatjax/data/store.py, `data` for data/__init__.py, `` for the top."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


TREES = {module_name(p): ast.parse(p.read_text()) for p in sorted(SOURCE.rglob("*.py"))}
PACKAGES = {module_name(p) for p in SOURCE.rglob("__init__.py")}
PLAIN_MODULES = sorted(set(TREES) - PACKAGES)


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that is imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def own_imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and name (without `cgatjax.`) of the modules of ours that a module imports."""
    for line, name in imported_names(TREES[module]):
        if name.split(".")[0] == "cgatjax":
            target = name.removeprefix("cgatjax").removeprefix(".")
            while target and target not in TREES:
                target = target.rpartition(".")[0]
            yield line, target


def is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def rank(module: str) -> int | None:
    return next((i for i, p in enumerate(ORDER) if is_within(module or "cgatjax", p)), None)


@pytest.mark.parametrize("module", PLAIN_MODULES)
def test_every_module_has_a_place(module: str) -> None:
    assert rank(module) is not None, f"add {module!r} to ORDER in {Path(__file__).name}"


@pytest.mark.parametrize("module", PLAIN_MODULES)
def test_modules_import_only_from_below(module: str) -> None:
    own_rank = rank(module)
    assert own_rank is not None
    upward = []
    for line, target in own_imports(module):
        place = rank(target)
        if place is None or place > own_rank:
            upward.append(f"line {line}: {target or 'the top of the package'}")
    assert not upward, f"{module} imports what does not stand below it: {upward}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: {target for _, target in own_imports(module)} - {module} for module in TREES}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", sorted(PACKAGES - {""}))
def test_packages_gather_only_their_own_modules(package: str) -> None:
    if package == "cli":
        pytest.skip("the command line gathers its commands and reads the options of the library")
    foreign = [target for _, target in own_imports(package) if not is_within(target, package)]
    assert not foreign


def test_folders_stay_small_enough_to_read() -> None:
    counts = Counter(path.parent.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
    on_top = counts.pop(".") - len(list(SOURCE.glob("_*.py")))
    assert on_top <= 6
    assert max(counts.values()) <= 20, counts


def test_no_import_is_relative() -> None:
    relative = [
        f"{module or '__init__'}:{line}"
        for module, tree in TREES.items()
        for line, name in imported_names(tree)
        if name.startswith(".")
    ]
    assert not relative


@pytest.mark.parametrize("library", sorted(WALLS))
def test_a_library_stays_behind_its_wall(library: str) -> None:
    outside = [
        f"{module}:{line}"
        for module, tree in TREES.items()
        for line, name in imported_names(tree)
        if name.split(".")[0] == library and not any(is_within(module, w) for w in WALLS[library])
    ]
    assert not outside, f"{library} belongs in {WALLS[library]} alone"


def test_devices_are_mapped_in_parallel_alone() -> None:
    outside = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        if module != "runtime.devices"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in DEVICE_MAPPING)
        or (isinstance(node, ast.Name) and node.id in DEVICE_MAPPING)
        or (isinstance(node, ast.ImportFrom) and DEVICE_MAPPING & {a.name for a in node.names})
    ]
    assert not outside


def test_only_the_command_line_prints() -> None:
    calls = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        if not is_within(module, "cli")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert not calls


def test_users_mistakes_are_raised_not_asserted() -> None:
    asserts = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert not asserts


def test_every_imported_library_is_declared_with_a_floor() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    optional = ("ase", "chgnet", "sevennet", "tensorboard", "torch", "umap", "wandb")
    declared = [*project["dependencies"], *(line for name in optional for line in extras[name])]
    floors = {re.match(r"[\w-]+", line)[0]: ">=" in line for line in declared}
    assert all(floors.values()), floors
    roots = {name.split(".")[0] for tree in TREES.values() for _, name in imported_names(tree)}
    third_party = roots - set(sys.stdlib_module_names) - {"cgatjax", ""}
    assert {DISTRIBUTIONS.get(root, root) for root in third_party} <= set(floors)


IMPORT_PROBE = """
import sys, time
start = time.perf_counter()
import cgatjax
print(time.perf_counter() - start)
for name in cgatjax.__all__:
    getattr(cgatjax, name)
heavy = ("pymatgen", "orbax", "grain", "matplotlib", "torch", "ase")
print(*(name for name in heavy if name in sys.modules))
"""


def test_importing_the_package_is_quick_and_no_public_name_loads_a_heavy_library() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_PROBE],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "", "JAX_PLATFORMS": "cpu"},
    )
    assert run.returncode == 0, run.stderr
    seconds, loaded = run.stdout.split("\n")[:2]
    assert loaded == ""
    # Milliseconds on an idle machine; the bound only catches something gone wrong.
    assert float(seconds) < 10
