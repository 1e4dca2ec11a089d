import importlib.util
import json

import numpy as np
import pytest
from click.testing import CliRunner

from cgatjax.cli import main
from cgatjax.data.datasets import Dataset
from cgatjax.data.store import open_store
from cgatjax.errors import MismatchError
from cgatjax.inference.prediction import evaluate
from cgatjax.reference import load_checkpoint


def called(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def test_features_and_a_checkpoint_work_together(shared, tmp_path):
    pytest.importorskip("torch", reason='needs torch (the extra "torch")')
    store, run = tmp_path / "features.store", tmp_path / "run"
    folder = shared / "reference"
    imported = called("import-reference", folder / "features.pickle.gz", "--out", store)
    assert imported.exit_code == 0, imported.output
    assert len(open_store(store)) == 480
    imported = called("import-reference", folder / "pretrained_eform.ckpt", "--out", run)
    assert imported.exit_code == 0, imported.output
    assert json.loads((run / "model" / "config.json").read_text())["units"] == {"e-form": "eV/atom"}
    # The test errors of the reference on its 48 crystals.
    with np.load(folder / "pretrained_eform_test.npz") as file:
        expected = {name: file[name] for name in file.files}
    model = load_checkpoint(folder / "pretrained_eform.ckpt")
    found = evaluate(model, Dataset(open_store(store), expected["index"]))
    mae = np.abs(expected["prediction"] - expected["target"]).mean()
    assert found["n"] == 48
    assert found["mae"] == pytest.approx(mae, abs=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_a_volume_in_other_units_is_not_compared(shared, tmp_path):
    store = tmp_path / "features.store"
    called("import-reference", shared / "reference" / "features.pickle.gz", "--out", store)
    path = shared / "reference" / "pretrained_eform.ckpt"
    model = load_checkpoint(path, target="volume", unit="A^3/atom^2")
    with pytest.raises(MismatchError, match=r"A\^3/atom there"):
        evaluate(model, open_store(store))
