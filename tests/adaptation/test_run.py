"""Whole adaptations of tiny networks: folder, choice, resuming, predictions like any model's."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from tests.commands import ok, refused
from tests.networks import SMALLEST, TWO_STEPS

import cgatjax as cg
from cgatjax.adaptation import findings, networks, sources
from cgatjax.adaptation.candidates import Process, predictions_of
from cgatjax.adaptation.findings import candidates_for
from cgatjax.adaptation.fold_results import load_result
from cgatjax.adaptation.schedule import Schedule
from cgatjax.adaptation.sources import Source
from cgatjax.adaptation.task import make_task
from cgatjax.data.datasets import Dataset
from cgatjax.errors import ConfigError, InputError, RunExistsError, StructureError
from cgatjax.inference.adapted import AdaptedPredictor
from cgatjax.inference.embedding_table import write_embeddings
from cgatjax.inference.loading import save_adapted
from cgatjax.model.model_io import save_model
from cgatjax.model.training_record import TrainingRecord
from cgatjax.training.transfer_params import rates_at, transfer_labels

LOW, HIGH = "e-form@low", "e-form@high"
OPTIONS = {"minutes": 20.0, "steps": 4, "folds": 2, "next_count": 3}


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Tiny networks, few trees, short trainings, and one of the ways to transfer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cgatjax.simple_models.models._TREES", 20)
        patch.setattr(networks, "_HEAD_STEPS", 20)
        for name in ("_WAYS", "_KNOWN_WAYS"):
            patch.setattr(findings, name, ("head then all",))
        patch.setattr(sources, "NETWORK", cg.ModelConfig.small(**SMALLEST))
        yield


@pytest.fixture(scope="module")
def source(trained_model, tmp_path_factory):
    """Folder of the trained model, as a source."""
    folder = tmp_path_factory.mktemp("adaptation") / "cheap"
    save_model(folder, trained_model)
    return folder


@pytest.fixture(scope="module")
def crystals(ionic_store):
    """Crystals of which some have no accurate value."""
    return ionic_store.all()


@pytest.fixture(scope="module")
def adapted(crystals, source, tmp_path_factory):
    """Finished adaptation from the cheap to the accurate property."""
    out = tmp_path_factory.mktemp("adapted") / "out"
    return cg.adapt(crystals, HIGH, out=out, sources=source, config=OPTIONS)


def test_the_folder_holds_what_is_promised(adapted):
    result = json.loads((adapted.path / "adapt.json").read_text())
    names = [c["name"] for c in result["candidates"]]
    weights = {c["name"]: c["weight"] for c in result["candidates"] if c["weight"]}
    assert sum(weights.values()) == pytest.approx(1)
    assert weights == adapted.predictor.weights
    assert all(name in result["chosen"] for name in weights)
    for expected in (
        "mean value",
        "ridge on composition",
        "trees on composition",
        "Gaussian process on cheap",
        "head then all of cheap",
        "network from scratch",
        "cheap as it is, shifted",
    ):
        assert expected in names
    for candidate in result["candidates"]:
        assert candidate["valid_mae"] > 0
        assert candidate["test_mae"] > 0
        assert candidate["seconds"] > 0
    page = adapted.report.read_text()
    assert len(page) < 3_000_000
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is fetched
    assert page.count("<svg") >= 4


def test_the_test_error_is_that_of_the_saved_model(adapted, crystals):
    split = json.loads((adapted.path / "split.json").read_text())
    test = crystals[split["test"]]
    found = cg.predict(adapted.predictor, test)
    errors = np.abs(found.means[HIGH] - test.target(HIGH))
    assert errors.mean() == pytest.approx(adapted.result["test"]["mae"], rel=1e-5)
    assert (found.stds[HIGH] > 0).all()
    assert "cross-validation" in found.std_notes[HIGH]
    frame = found.to_frame()
    assert frame["out_of_distribution"].dtype == bool


def test_it_predicts_screens_selects_and_embeds_like_any_model(adapted, crystals, tmp_path):
    predictor = cg.load_predictor(adapted.path / "model")
    some = crystals.select(np.arange(30))
    expected = cg.predict(predictor, some)
    screened = cg.screen(predictor, some, tmp_path / "screened")
    assert screened.report["seen"] == 30
    chosen = cg.select(predictor, some, 3, known=[crystals.select(np.arange(30, 60))])
    place = {name: k for k, name in enumerate(expected.ids)}
    rows = [place[name] for name in chosen.ids]
    np.testing.assert_allclose(chosen.means, expected.means[HIGH][rows], rtol=1e-5)
    assert len(cg.embed(predictor, some)) == 30
    regressor = cg.CGATRegressor.of(adapted.path / "model")
    structures = cg.ionic_crystals(3, seed=0)
    found = regressor.predict(structures, return_std=True)
    again = cg.predict(predictor, structures)
    np.testing.assert_allclose(found, (again.means[HIGH], again.stds[HIGH]))
    assert cg.evaluate(predictor, some)["n"] > 0
    with pytest.raises(ConfigError, match="expected one of those that this predictor has"):
        cg.load_predictor(adapted.path / "model", "gp")


def test_a_finished_adaptation_is_returned(adapted, crystals, source, monkeypatch):
    monkeypatch.setattr(Schedule, "run", None)
    again = cg.adapt(crystals, HIGH, out=adapted.path, sources=source, config=OPTIONS, resume=True)
    assert again.result == adapted.result
    with pytest.raises(RunExistsError, match="add --resume"):
        cg.adapt(crystals, HIGH, out=adapted.path, sources=source)
    assert cg.load_adaptation(adapted.path).result == adapted.result


def test_a_killed_adaptation_repeats_no_fit(adapted, crystals, source, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    shutil.copytree(adapted.path, out)
    (out / "adapt.json").unlink()
    shutil.rmtree(out / "candidates" / "mean-value" / "fold-1")
    (out / "candidates" / "ridge-on-composition" / "fold-0" / "result.json").write_text("{")
    fitted = []
    fit = Schedule._fit
    monkeypatch.setattr(
        Schedule, "_fit", lambda self, c, k: fitted.append((c.name, k)) or fit(self, c, k)
    )
    with pytest.raises(ConfigError, match=r"options\.steps: 4 -> 5"):
        cg.adapt(
            crystals,
            HIGH,
            out=out,
            sources=source,
            config={**OPTIONS, "steps": 5},
            resume=True,
        )
    again = cg.adapt(crystals, HIGH, out=out, sources=source, config=OPTIONS, resume=True)
    assert fitted == [("mean value", 1), ("ridge on composition", 0)]
    assert again.result["chosen"] == adapted.result["chosen"]
    assert again.result["test"]["mae"] == pytest.approx(adapted.result["test"]["mae"], rel=1e-6)


def test_the_prediction_is_the_weighted_mean(adapted, crystals, tmp_path):
    some = crystals.select(np.arange(5))
    parts = [
        load_result(adapted.path, name, 0).part() for name in ("mean value", "trees on composition")
    ]
    each = [predictions_of(part, some, HIGH)[0] for part in parts]
    domain = adapted.predictor.domain
    predictor = AdaptedPredictor.of_parts(parts, {"mean": 0.25, "trees": 0.75}, None, domain)
    save_adapted(tmp_path / "model", predictor)
    loaded = cg.load_predictor(tmp_path / "model")
    assert loaded.weights == {"mean": 0.25, "trees": 0.75}
    np.testing.assert_allclose(
        cg.predict(loaded, some).means[HIGH], 0.25 * each[0] + 0.75 * each[1], rtol=1e-6
    )
    with pytest.raises(InputError, match="expected positive weights with the sum 1"):
        AdaptedPredictor.of_parts(parts, {"mean": 0.25, "trees": 0.7}, None, domain)


def test_a_cheap_value_is_learned_from(crystals, tmp_path):
    """With the cheap value of every crystal known, the difference is learned, and added back."""
    options = {**OPTIONS, "minutes": 1e-6, "baselines": (LOW,)}
    found = cg.adapt(crystals, HIGH, out=tmp_path / "out", sources="none", config=options)
    maes = {c["name"]: c["test_mae"] for c in found.result["candidates"]}
    assert maes[f"{LOW} + ridge on composition"] < maes["ridge on composition"]
    assert LOW in found.result["chosen"]
    assert found.result["needs"] == [LOW]
    some = crystals.select(np.arange(5))
    expected = cg.predict(found.predictor, some).means[HIGH]
    shifted = Dataset(some.store, some.rows, offsets={LOW: np.full(5, 1.0)})
    change = cg.predict(found.predictor, shifted).means[HIGH] - expected
    assert (change < -0.3).all()  # the cheap value is a feature, too
    with pytest.raises(StructureError, match=f"{LOW!r} is a baseline"):
        cg.predict(found.predictor, [dataclasses.replace(cg.ionic_crystals(1)[0], targets={})])
    with pytest.raises(InputError, match="expected another property in the unit"):
        make_task(crystals, HIGH, cg.AdaptConfig(baselines=("volume@high",)))


def test_the_volume_of_the_cell_is_a_baseline_without_asking(crystals):
    task = make_task(crystals, "volume@high", cg.AdaptConfig(folds=2))
    assert task.baselines == ("cell_volume",)


def test_layer_wise_rates_fall_from_the_head_to_the_elements(ionic_store):
    model = cg.init_model(cg.ModelConfig.small(**TWO_STEPS), ionic_store, target=LOW)
    options = cg.TransferConfig(mode="full", lr_groups=networks.layer_groups(model.config))
    labels = transfer_labels(model.params, options)
    rates = rates_at(options, 0, 1.0)
    found = [
        rates[labels["heads"][LOW]["out"]["kernel"]],
        *(
            rates[next(iter(flatten_dict(labels["encoder"][name]).values()))]
            for name in ("pooling", "node_1", "node_0", "embedding")
        ),
    ]
    assert found == pytest.approx([1, 0.6, 0.36, 0.216, 0.1296])


def test_a_source_of_another_property_has_no_prediction(crystals, trained_model):
    task = make_task(crystals, "volume@high", cg.AdaptConfig(folds=2))
    source = Source(name="cheap", model=trained_model, pool=task.pool, crystals=task.crystals)
    assert not source.knows("volume@high")
    assert source.knows(HIGH)
    names = [c.name for c in candidates_for(task, [source], 4)]
    assert "cheap as it is, shifted" not in names
    assert "Gaussian process on cheap" in names


def test_errors_that_cross_validation_hides(crystals, trained_model):
    """The share of the pool that a source was trained on, and its own standard deviation."""
    task = make_task(crystals, HIGH, cg.AdaptConfig(folds=2))
    known = task.pool.select(np.arange(0, len(task.pool), 2))
    record = TrainingRecord.of(TrainingRecord(), [(known, (HIGH,))], [])
    for some, share in ((record, np.isin(task.pool.formulas, known.formulas).mean()),
                        (TrainingRecord(), 0.0)):  # fmt: skip
        model = trained_model.replace(record=some)
        source = Source(name="cheap", model=model, pool=task.pool, crystals=task.crystals)
        own = cg.predict(model, task.pool, show_progress=False).stds[LOW]
        expected = np.sqrt(share) * own.mean()
        assert source.hidden_std(HIGH) == pytest.approx(expected, rel=1e-3)
        assert source.hidden_std("volume@high") == 0
        means = np.zeros(len(task.pool))
        hidden = {c.name for c in candidates_for(task, [source], 4) if c.hidden_std(means) > 0}
        ways = {"cheap as it is, shifted", "cheap + ridge on composition",
                "cheap + trees on composition", "Gaussian process on cheap",
                "head then all of cheap"}  # fmt: skip
        assert hidden == (ways if share else set())
        # A difference inherits the part by which it depends on the prediction, here a third.
        known_values = cg.predict(model, task.pool, show_progress=False).means[LOW]
        learned = 5.0 - known_values / 3
        learned[::3] = np.nan
        assert source.hidden_std(HIGH, learned) == pytest.approx(expected / 3, rel=1e-3)
        assert source.hidden_std(HIGH, np.ones(len(learned))) == pytest.approx(0, abs=1e-9)
        way = Process(source=source, target=HIGH, baseline=LOW)
        low = task.pool.target(LOW)
        assert way.hidden_std(learned + low) == pytest.approx(expected / 3, rel=1e-3)


def test_embeddings_from_elsewhere_are_compared_only(crystals, tmp_path):
    """Embeddings that hold the value are the best candidate, but no model of structures."""
    values = np.nan_to_num(crystals.target(HIGH))
    file = tmp_path / "magic.parquet"
    vectors = np.stack([values, values**2], 1)
    write_embeddings(file, {"id": crystals.ids}, {}, vectors, {})
    options = {**OPTIONS, "minutes": 0.5}
    found = cg.adapt(
        crystals, HIGH, out=tmp_path / "out", sources="none", embeddings=[file], config=options
    )
    names = [c["name"] for c in found.result["candidates"]]
    assert names[0] == "Gaussian process on magic.parquet"
    assert "magic" not in found.result["chosen"]
    assert "predicts only crystals with such embeddings" in found.result["reason"]
    write_embeddings(file, {"id": crystals.ids[:5]}, {}, vectors[:5], {})
    with pytest.raises(InputError, match="expected an embedding of each crystal"):
        cg.adapt(
            crystals, HIGH, out=tmp_path / "other", sources=(), embeddings=[file], config=options
        )


def test_wrong_sources_are_refused(crystals, tmp_path):
    with pytest.raises(InputError, match="expected a trained model"):
        cg.adapt(crystals, HIGH, out=tmp_path / "out", sources=[3])


def test_the_command_without_time_for_networks(ionic_store, source, tmp_path):
    out = tmp_path / "out"
    common = ("adapt", ionic_store.path, "--target", HIGH, "--out", out)
    text = ok(*common, "--minutes", 1e-6, "--folds", 2, "--from", source)
    assert "chosen: " in text
    result = json.loads((out / "adapt.json").read_text())
    assert "head then all of cheap" in result["left_out"]
    simple = ("ridge on composition", "trees on composition")
    assert any(name in result["chosen"] for name in simple)
    assert "report.html" in text
    assert "cgatjax" in (out / "report.html").read_text()
    assert "add --resume" in refused(*common)
    predicted = ok("predict", out / "model", ionic_store.path)
    assert "Predictions of 120 crystals" in predicted
    assert "Predictions of 120 crystals" in ok("predict", out, ionic_store.path)
