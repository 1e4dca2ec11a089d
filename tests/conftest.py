"""What must be set before JAX is imported, and what all tests share."""

import ctypes
import gc
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
MOST, GROWTH = 800_000_000, 250_000_000
"""Resident memory beyond which a test process drops its programs, and the growth since then."""
KEPT = 100_000_000
"""Growth after which freed memory is given back to the system (all in bytes)."""

# Two devices; no optimizing of machine code, which takes longer than the tests' tiny networks; and
# one module of it, not one for each of many threads.
_FLAGS = [
    "xla_force_host_platform_device_count=2",
    "xla_backend_optimization_level=0",
    "xla_cpu_parallel_codegen_split_count=1",
]
# Of what is not optimized, the emitters of fusions make a fifth; newer versions lack the flag, and
# an unknown one ends the process.
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    _FLAGS.append("xla_cpu_use_fusion_emitters=false")
for _flag in _FLAGS:
    if _flag.split("=")[0] not in (_flags := os.environ.get("XLA_FLAGS", "")):
        os.environ["XLA_FLAGS"] = f"{_flags} --{_flag}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("MPLBACKEND", "agg")

# A shell that starts the suite in the background has interrupts ignored; some tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every run and every machine; a slow first compilation is no failure.
settings.register_profile("cgatjax", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("cgatjax")


class Memory:
    """Resident memory of this process, which grows because glibc keeps what compilations free."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: 0)  # glibc has it
        self._trimmed = self._cleared = 0

    def trim(self) -> int:
        """Give freed blocks back to the system, and return what is left."""
        self._trim(0)
        self._trimmed = resident_bytes()
        return self._trimmed

    def after_event(self, name: str, seconds: float, **_: object) -> None:
        """Called by JAX after each of its steps."""
        is_compiled = name.endswith("backend_compile_duration")
        if is_compiled and resident_bytes() > self._trimmed + KEPT:
            self.trim()

    def after_test(self) -> None:
        """Drop compiled programs if there are too many; they are read from the disk again."""
        if resident_bytes() > max(MOST, self._cleared + GROWTH):
            if self.trim() > MOST:
                self.drop_programs()
            self._cleared = self.trim()

    def drop_programs(self) -> None:
        """Drop compiled programs."""
        sys.modules["jax"].clear_caches()
        gc.collect()
        self.trim()


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def memory() -> Memory | None:
    """Memory of this process, watched at every compilation; None where it cannot be read."""
    if not sys.platform.startswith("linux"):
        return None
    from jax import monitoring

    found = Memory()
    monitoring.register_event_duration_secs_listener(found.after_event)
    return found


@pytest.fixture
def room_to_compile(memory):
    """Room for a program that takes half a gigabyte to compile."""
    if memory is not None:
        memory.drop_programs()


@pytest.fixture(autouse=True)
def bounded_memory(memory):
    yield
    if memory is not None:
        memory.after_test()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real crystals beside the checkout; without it, tests that ask are skipped."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs real crystals in {folder}")
    return folder


@pytest.fixture(scope="session")
def golden_crystals(shared):
    """The 480 real crystals that the golden data were made of, in their order."""
    from cgatjax.structures.crystal import Crystal
    from cgatjax.structures.readers import read_crystals

    crystals = list(read_crystals([shared / "reference" / "entries.json.gz"]))
    assert all(isinstance(crystal, Crystal) for crystal in crystals)
    return crystals


@pytest.fixture(scope="session")
def prototypes():
    """Cubic crystals by name, in their conventional cells."""
    from tests.crystals import cubic_prototypes

    return cubic_prototypes()


@pytest.fixture
def faulty_crystals():
    """60 crystals, faults of reading and of featurizing among them, few with a second target."""
    from tests import crystals

    return crystals.faulty_crystals()


@pytest.fixture(scope="session")
def ionic_store(tmp_path_factory):
    """120 generated crystals with four properties, featurized with the recommended options."""
    import cgatjax as cg

    out = tmp_path_factory.mktemp("stores") / "ionic"
    return cg.build_store(cg.ionic_crystals(120, seed=0), out, cg.GraphConfig.recommended())


@pytest.fixture(scope="session")
def sets(ionic_store):
    """Training, validation and test part of the generated crystals."""
    return ionic_store.split(seed=0)


@pytest.fixture(scope="session")
def fresh_model(ionic_store):
    """An untrained network of the smallest size for the cheap formation energy."""
    from tests.networks import SMALLEST

    import cgatjax as cg

    config = cg.ModelConfig.small(**SMALLEST)
    return cg.init_model(config, ionic_store, target="e-form@low", seed=0)


@pytest.fixture(scope="session")
def trained(fresh_model, sets):
    """(model, history): the same network after a few epochs with a robust loss."""
    import cgatjax as cg

    train, valid, _ = sets
    config = cg.TrainConfig(epochs=6, batch_size=32, learning_rate=5e-3, loss="robust_l1")
    return cg.fit(fresh_model, train, valid, config)


@pytest.fixture(scope="session")
def train_set(sets):
    return sets[0]


@pytest.fixture(scope="session")
def valid_set(sets):
    return sets[1]


@pytest.fixture(scope="session")
def test_set(sets):
    return sets[2]


@pytest.fixture(scope="session")
def trained_model(trained):
    """`fresh_model` after a few epochs with a robust loss."""
    return trained[0]


@pytest.fixture(scope="session")
def training_history(trained):
    """History of the training of `trained_model`."""
    return trained[1]
