"""The house rules that a machine can hold: who imports whom, and which library lives where."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "cgatjax"

# From the ground up: a module imports only what stands before it. A package named here stands for
# all of its modules. A new module gets the lowest place that its imports allow.
ORDER = """
errors runtime.allocator runtime.atomic_files runtime.atomic_folders runtime.signals
runtime.progress options config runs.loggers structures.elements screening.assignments
structures.properties structures.crystal structures.formats structures.poscar structures.cif
structures.dcgat structures.dcgat_writer structures.csv_tables structures.ase_atoms
structures.inputs structures.readers structures.delta_targets synthetic.ions
synthetic.lattice_sums synthetic.born_lande synthetic.prototype_table synthetic.prototypes
synthetic.formation_energies synthetic.decorations synthetic.dataset graphs.neighbors
graphs.bond_vectors graphs.crystal_graph graphs.graph_arrays graphs.reduction graphs.hashes
screening.oxidation_states screening.composition_filter screening.templates
screening.ranked_parquet data.splits data.leakage data.datasets data.shard_reader data.store
data.overlap runtime.executors data.shard_writer data.filters preprocessing.hull
preprocessing.hull_files preprocessing.records preprocessing.downloads preprocessing.unpacking
data.build_journal data.store_writer data.build integrations.matbench_files
inference.embedding_table data.batching data.loader models.normalizer nn.initializers nn.segment
nn.mlp nn.attention nn.hypernetwork nn.composition nn.cgat models.model runs.run_folder
models.fingerprint models.losses models.metrics training.schedules training.optimizer
training.transfer_params runtime.devices training.train_step models.model_io runs.checkpoints
reference inference.gaussian_process inference.uncertainty_io inference.predictor
inference.loading inference.gp_fitting inference.calibration inference.prediction coverage
selection inference.interpretation inference.embedding_cache training.input_pipeline
training.compiled training.monitor training.history training.trainer training.vmapped_ensembles
training.loop training.ensembles integrations.sklearn_estimator integrations.matbench_tasks
screening analysis.regression analysis.scaling analysis.joint_scaling analysis.budget
analysis.seeds plotting.style plotting.learning_plots plotting.calibration_plots
plotting.scaling_plots plotting.comparison_plots plotting.periodic_table plotting.histograms
plotting.residual_plots plotting.embedding_map plotting.attention_plot demo cli
""".split()

# Third-party library -> the only modules (or packages) that may import it.
WALLS = {
    "ase": ["structures"],
    "grain": ["data.loader"],
    "jraph": ["data.batching", "nn.segment"],
    "matplotlib": ["analysis"],
    "optax": [
        "inference.gp_fitting",
        "training.optimizer",
        "training.train_step",
        "training.transfer_params",
    ],
    "orbax": ["runs.checkpoints"],
    "pyarrow": ["data", "inference.embedding_table", "screening.ranked_parquet"],
    "pymatgen": ["graphs.neighbors", "screening.oxidation_states", "structures"],
    "sklearn": ["plotting.embedding_map", "integrations.sklearn_estimator"],
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
        if name.split(".")[0] == "cgatjax" and name != "cgatjax.__version__":
            target = name.removeprefix("cgatjax").removeprefix(".")
            while target and target not in TREES:
                target = target.rpartition(".")[0]
            yield line, target


def is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def rank(module: str) -> int | None:
    return next((i for i, place in enumerate(ORDER) if is_within(module, place)), None)


@pytest.mark.parametrize("module", PLAIN_MODULES)
def test_every_module_has_a_place(module: str) -> None:
    assert rank(module) is not None, f"add {module!r} to ORDER in {Path(__file__).name}"


@pytest.mark.parametrize("module", PLAIN_MODULES)
def test_modules_import_only_from_below(module: str) -> None:
    own_rank = rank(module)
    if own_rank is None:
        pytest.skip("has no place yet")
    upward = []
    for line, target in own_imports(module):
        place = rank(target)
        if place is None or place > own_rank:
            upward.append(f"line {line}: {target or 'the top of the package'}")
    assert not upward, f"{module} imports what does not stand below it: {upward}"


@pytest.mark.parametrize("package", sorted(PACKAGES - {""}))
def test_packages_gather_only_their_own_modules(package: str) -> None:
    if rank(package) is not None:
        pytest.skip("stands in ORDER itself")
    foreign = [target for _, target in own_imports(package) if not is_within(target, package)]
    assert not foreign


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
    optional = ("ase", "sklearn", "tensorboard", "torch", "umap", "wandb")
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
