"""Store, configuration file and runs that the tests of the commands share."""

from pathlib import Path

import pytest
import tomli_w
from tests.commands import ok
from tests.networks import TINY_MODEL

from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

TINY = {"model": TINY_MODEL, "train": {"epochs": 2, "batch_size": 16}}
LOW = "e-form@low"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with everything that these fixtures make."""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="session")
def dcgat_file(folder: Path) -> Path:
    """DCGAT file of 48 synthetic crystals."""
    return write_dcgat(ionic_crystals(48), folder / "ionic.json.gz")


@pytest.fixture(scope="session")
def tiny_config(folder: Path) -> Path:
    """Configuration file of a network and a training that take seconds."""
    file = folder / "tiny.toml"
    file.write_text(tomli_w.dumps(TINY))
    return file


@pytest.fixture(scope="session")
def store(folder: Path, dcgat_file: Path) -> Path:
    """Store with the released graph options."""
    ok("featurize", dcgat_file, "--out", folder / "ionic.store", "--workers", 1)
    return folder / "ionic.store"


@pytest.fixture(scope="session")
def trained_run(folder: Path, store: Path, tiny_config: Path) -> Path:
    """Run trained on the low-fidelity formation energies."""
    ok("train", store, "--target", LOW, "--out", folder / "pbe", "--config", tiny_config)
    return folder / "pbe"


@pytest.fixture(scope="session")
def recommended_store(folder: Path, dcgat_file: Path) -> Path:
    """Store with the recommended graph options."""
    out = folder / "recommended.store"
    ok("featurize", dcgat_file, "--out", out, "--workers", 1, "--recommended")
    return out


@pytest.fixture(scope="session")
def robust_run(folder: Path, recommended_store: Path, tiny_config: Path) -> Path:
    """Run trained with a robust loss on the recommended store, with figures."""
    out = folder / "robust"
    output = ok("train", recommended_store, "--target", LOW, "--out", out, "--plots",
                "--loss", "robust_l1", "--config", tiny_config)  # fmt: skip
    assert f"learning: {out / 'learning.png'}" in output
    return out
