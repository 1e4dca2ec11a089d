"""Gaussian processes and factors kept with a run, and the commands that make them."""

import csv
import json

import numpy as np
import pytest
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference.gp_fitting import GPConfig, fit_gp
from cgatjax.inference.loading import digest_of, load_predictor
from cgatjax.inference.prediction import embed, predict
from cgatjax.inference.uncertainty_io import (
    CALIBRATION,
    GAUSSIAN_PROCESS,
    Rescaling,
    load_processes,
    save_processes,
    save_rescalings,
)
from cgatjax.models.model_io import save_model
from cgatjax.runs.run_folder import SPLIT, RunFolder

LOW = "e-form@low"


@pytest.fixture(scope="module")
def run(trained, ionic_store, tmp_path_factory):
    """The run folder of the trained model, with its split."""
    folder = RunFolder(tmp_path_factory.mktemp("trust") / "run")
    ionic_store.make_split(seed=0).save(folder.path / SPLIT)
    save_model(folder.path / "model", trained[0])
    return folder.path


@pytest.fixture
def copy(run, trained, tmp_path):
    save_model(tmp_path / "run" / "model", trained[0])
    (tmp_path / "run" / SPLIT).write_bytes((run / SPLIT).read_bytes())
    return tmp_path / "run"


@pytest.fixture(scope="module")
def process(trained, sets):
    x = embed(trained[0], sets[0])
    return fit_gp(x, sets[0].target(LOW), GPConfig(inducing=8, steps=0))


def test_a_process_comes_back_and_predicts(copy, trained, sets, process):
    save_processes(copy, {LOW: process}, digest_of([trained[0]]))
    found = load_predictor(copy, "gp")
    expected = process.predict(embed(trained[0], sets[2]))
    predicted = predict(found, sets[2])
    np.testing.assert_allclose(predicted.mean, expected[0], rtol=1e-6)
    np.testing.assert_allclose(predicted.std, expected[1], rtol=1e-6)
    note = "Gaussian process on embeddings, 8 inducing points for 96 crystals"
    assert predicted.std_notes[LOW] == note
    assert load_predictor(copy).uncertainty == "aleatoric"
    with pytest.raises(InputError, match="expected embeddings"):
        found.moments(LOW, np.zeros((1, 5, 2)))


def test_what_belongs_to_other_weights_is_refused(copy, process):
    save_processes(copy, {LOW: process}, "other")
    with pytest.raises(MismatchError, match="other weights than the run's; fit it again"):
        load_predictor(copy)
    save_processes(copy, {LOW: process}, digest_of(load_members(copy)))
    save_rescalings(copy, {}, "other")
    with pytest.raises(MismatchError, match="calibrate again, or remove it"):
        load_predictor(copy)


def load_members(path):
    return [cg.load_model(path)]


def test_damaged_files_are_refused(copy, process):
    digest = digest_of(load_members(copy))
    save_processes(copy, {LOW: process}, digest)
    file = copy / GAUSSIAN_PROCESS / "process.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="fit the Gaussian process again"):
        load_processes(copy, digest)
    for text in ("{", '{"weights": 1}', '{"weights": "", "factors": {"gp": {"a": {}}}}'):
        (copy / CALIBRATION).write_text(text)
        with pytest.raises(InputError, match="cannot be read as a calibration"):
            load_predictor_without_process(copy)
    with pytest.raises(InputError, match="positive factor, got -1"):
        Rescaling(factor=-1.0, n=3, data="x")


def load_predictor_without_process(path):
    from cgatjax.inference.uncertainty_io import load_rescalings

    return load_rescalings(path, "")


def test_calibrate_keeps_a_factor_that_predictions_use(copy, ionic_store, sets):
    before = predict(load_predictor(copy), sets[1])
    z = (before.mean - sets[1].target(LOW)) / before.std
    output = ok("calibrate", copy, ionic_store.path, "--plot", copy.parent / "c.png")
    factor = float(np.sqrt(np.square(z).mean()))
    assert f"{factor:.5g}" in output
    assert (copy.parent / "c.png").stat().st_size > 1000
    after = predict(load_predictor(copy), sets[1])
    np.testing.assert_allclose(after.std, factor * before.std, rtol=1e-6)
    np.testing.assert_array_equal(after.mean, before.mean)
    expected = f"; times {factor:.4g}, fitted on 12 validation crystals by likelihood"
    assert after.std_notes[LOW].endswith(expected)
    assert expected in ok("info", copy)
    plain = predict(load_predictor(copy).without_rescaling(), sets[1])
    np.testing.assert_array_equal(plain.std, before.std)
    # Once more: the factor is fitted to the standard deviations as they were.
    assert f"{factor:.5g}" in ok("calibrate", copy, ionic_store.path)
    out = copy.parent / "p.csv"
    ok("predict", copy, ionic_store.path, "--out", out)
    lines = out.read_text().splitlines()
    assert lines[1].endswith(expected)
    rows = {r["id"]: float(r["std"]) for r in csv.DictReader(lines[2:])}
    assert [rows[i] for i in sets[1].ids] == pytest.approx(after.std.tolist(), rel=1e-5)


def test_fit_gp_and_its_own_factor(copy, ionic_store, sets):
    command = ("fit-gp", copy, ionic_store.path, "--inducing", 8, "--steps", 2)
    assert "96" in ok(*command)
    ok("calibrate", copy, ionic_store.path, "--uncertainty", "gp", "--by", "area")
    kept = json.loads((copy / CALIBRATION).read_text())["factors"]
    assert list(kept) == ["gp"]
    note = predict(load_predictor(copy, "gp"), sets[1]).std_notes[LOW]
    assert note.startswith("Gaussian process on embeddings, 8 inducing points for 96 crystals; ")
    assert note.endswith("validation crystals by area")
    assert "times" not in predict(load_predictor(copy), sets[1]).std_notes[LOW]
    assert "calibrate again" in ok(*command)
    assert json.loads((copy / CALIBRATION).read_text())["factors"] == {}


def test_what_a_run_does_not_have_is_refused(copy, trained, ionic_store):
    assert "a Gaussian process from fit-gp" in refused(
        "predict", copy, ionic_store.path, "--uncertainty", "gp", "--out", copy / "p.csv"
    )
    save_model(copy / "model", trained[0].replace(predicts_std=()))
    assert "predicts no standard deviation" in refused("calibrate", copy, ionic_store.path)
