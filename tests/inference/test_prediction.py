import dataclasses

import numpy as np
import pytest

import cgatjax as cg
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError, MismatchError, StructureError, TargetError
from cgatjax.inference import prediction as inference
from cgatjax.inference.memory import count_trained_on
from cgatjax.inference.passes import Pass
from cgatjax.inference.prediction import BatchRunner, embed, evaluate, predict
from cgatjax.inference.predictor import Predictor, in_units

LOW = "e-form@low"


def with_element(crystal, number):
    """The crystal with its first site's element, wherever it is, replaced."""
    numbers = crystal.atomic_numbers.copy()
    numbers[numbers == numbers[0]] = number
    return dataclasses.replace(crystal, id=f"{crystal.id}-{number}", atomic_numbers=numbers)


@pytest.fixture(scope="module")
def crystals():
    return cg.ionic_crystals(120, seed=0)


def test_new_structures_are_predicted_as_their_rows_in_the_store(
    trained_model, ionic_store, crystals
):
    model = trained_model
    rows = predict(model, ionic_store)
    fresh = predict(model, crystals)
    assert fresh.ids == rows.ids == ionic_store.ids
    np.testing.assert_allclose(fresh.mean, rows.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fresh.std, rows.std, rtol=1e-4)
    assert rows.units == {LOW: "eV/atom"}
    assert np.unique(rows.mean.round(4)).size > 50


def test_chunks_and_batch_sizes_do_not_matter(trained_model, crystals, monkeypatch):
    model = trained_model
    whole = predict(model, crystals[:30])
    monkeypatch.setattr("cgatjax.inference.new_graphs.CHUNK", 7)
    parts = predict(model, iter(crystals[:30]), batch_size=5)
    assert parts.ids == whole.ids
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-5, atol=1e-5)


def test_a_standard_deviation_needs_a_robust_loss(trained, trained_model, test_set):
    model = trained_model
    robust = predict(model, test_set)
    assert (robust.std > 0).all()
    assert robust.std_notes[LOW] == "aleatoric, learned by a robust loss"
    plain = predict(model.replace(predicts_std=()), test_set)
    assert np.isnan(plain.std).all()
    assert "not trained with a robust loss" in plain.std_notes[LOW]
    assert np.array_equal(plain.mean, robust.mean)


def test_outputs_are_brought_into_units_by_hand(trained_model):
    model = trained_model
    scale = model.normalizers[LOW]
    mean, std = in_units(model, LOW, np.array([[0.5, 0.0], [-1.0, np.log(3.0)]]))
    assert mean == pytest.approx([scale.mean + 0.5 * scale.std, scale.mean - scale.std])
    assert std == pytest.approx([scale.std, 3 * scale.std])


def test_errors_are_those_of_numpy(trained_model, test_set):
    model, test = trained_model, test_set
    error = predict(model, test).mean - test.target(LOW)
    found = evaluate(model, test)
    expected = {"mae": abs(error).mean(), "rmse": (error**2).mean() ** 0.5, "n": len(test)}
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_whole_store_is_evaluated(trained_model, ionic_store):
    assert evaluate(trained_model, ionic_store)["n"] == 120


def test_several_targets(fresh_model, ionic_store, test_set):
    names = (LOW, "volume@high")
    model = cg.init_model(fresh_model.config, ionic_store, target=names)
    scales = {n: cg.Normalizer.fit(ionic_store.target(n)) for n in names}
    found = predict(model.replace(normalizers=scales), test_set)
    assert tuple(found.mean) == tuple(found.std) == names
    assert found.units == {LOW: "eV/atom", "volume@high": "A^3/atom"}
    errors = evaluate(model.replace(normalizers=scales), test_set)
    for name in names:
        expected = abs(found.mean[name] - test_set.target(name)).mean()
        assert errors[name]["mae"] == pytest.approx(expected)


def test_embeddings_are_in_the_order_of_the_data_and_feed_the_head(trained_model, test_set):
    model, test = trained_model, test_set
    found = embed(model, test)
    assert found.shape == (len(test), model.config.embedding_dim)
    backwards = embed(model, test.select(np.arange(len(test))[::-1]), batch_size=4)
    np.testing.assert_allclose(backwards[::-1], found, rtol=1e-4, atol=1e-5)
    mean, _ = in_units(model, LOW, np.asarray(model.network.read_heads(model.params, found)[LOW]))
    np.testing.assert_allclose(mean, predict(model, test).mean, rtol=1e-4, atol=1e-5)


def test_batch_shapes_of_all_crystals_hold_every_part(trained_model, ionic_store, test_set):
    runner = BatchRunner((Pass(trained_model, "embed"),), 32, ionic_store.all())
    budgets = runner.budgets
    [found] = runner(test_set.select(np.arange(5)))
    assert runner.budgets == budgets
    expected = embed(trained_model, test_set)[:5]
    np.testing.assert_allclose(found["embedding"], expected, rtol=1e-4, atol=1e-5)
    again = embed(trained_model, test_set, shapes_of=ionic_store.all())
    np.testing.assert_allclose(again[:5], expected, rtol=1e-4, atol=1e-5)


def test_bad_structures_stop_or_are_counted(trained_model, crystals):
    bad = dataclasses.replace(crystals[1], id="flat", lattice=np.zeros((3, 3)))
    with pytest.raises(StructureError, match=r"'flat'.*singular lattice"):
        predict(trained_model, [crystals[0], bad])
    found = predict(trained_model, [crystals[0], bad, crystals[2]], on_error="skip")
    assert found.ids == [crystals[0].id, crystals[2].id]
    assert [(r.id, "singular" in r.reason) for r in found.skipped] == [("flat", True)]
    with pytest.raises(InputError, match=r"no crystal to predict \(1 skipped\)"):
        predict(trained_model, [bad], on_error="skip")


def test_an_element_without_a_vector_is_a_bad_structure(trained_model, crystals):
    table = trained_model.element_table
    symbol = "O"
    known = np.array(table.known)
    known[8] = False
    vectors = np.where(known[:, None], table.vectors, 0)
    model = trained_model.replace(element_table=cg.ElementTable("poor", vectors, known))
    oxides = [c for c in crystals if 8 in c.atomic_numbers]
    others = [c for c in crystals if 8 not in c.atomic_numbers]
    reason = rf"the element table 'poor' has no vector for \['{symbol}'\]"
    with pytest.raises(StructureError, match=reason):
        predict(model, oxides[:1])
    found = predict(model, [*oxides[:3], *others[:5]], on_error="skip")
    assert found.ids == [c.id for c in others[:5]]
    assert len(found.skipped) == 3


def test_a_stored_element_without_a_vector_is_refused(trained_model, ionic_store):
    table = trained_model.element_table
    known = np.array(table.known)
    known[8] = False
    vectors = np.where(known[:, None], table.vectors, 0)
    model = trained_model.replace(element_table=cg.ElementTable("poor", vectors, known))
    for verb in (predict, embed):
        with pytest.raises(MismatchError, match=r"'poor' has no vector for \['O'\]"):
            verb(model, ionic_store)


def test_graphs_of_another_kind_are_refused(trained_model, crystals, tmp_path):
    other = cg.build_store(crystals[:4], tmp_path / "s", cg.GraphConfig.released())
    message = r"shell_tolerance: model 0\.0003, data 1e-08.*split_shell: model 'share', data 'cut'"
    for verb in (predict, evaluate, embed):
        with pytest.raises(MismatchError, match=message):
            verb(trained_model, other)


def test_a_target_that_the_data_lack_is_an_error(trained_model, crystals, tmp_path):
    config = cg.GraphConfig.recommended()
    store = cg.build_store(crystals[:4], tmp_path / "s", config, targets=["volume@high"])
    with pytest.raises(TargetError, match=r"'e-form@low'.*\['volume@high'\]"):
        evaluate(trained_model, store)


def test_nothing_to_predict_and_models_without_training(trained_model, fresh_model, ionic_store):
    nothing = ionic_store.all().select(np.array([], int))
    for data in (nothing, [], GraphList([], ionic_store.graph_config)):
        with pytest.raises(InputError, match="no crystal to predict"):
            predict(trained_model, data)
    with pytest.raises(InputError, match="no crystal to embed"):
        embed(trained_model, nothing)
    with pytest.raises(InputError, match="no mean and std of 'e-form@low': train it"):
        predict(fresh_model, ionic_store)


def test_the_path_of_a_store_stands_for_its_crystals(trained_model, ionic_store):
    path = ionic_store.path
    assert predict(trained_model, str(path)).ids == ionic_store.ids
    assert evaluate(trained_model, path) == evaluate(trained_model, ionic_store)
    with pytest.raises(InputError, match=r"crystals to evaluate: .* got the path 'none'"):
        evaluate(trained_model, "none")


def test_predictions_are_indexed_by_position_id_slice_and_mask(trained_model, test_set):
    found = predict(trained_model, test_set)
    one = found[found.ids[2]]
    assert one == found[2]
    assert one == (found.ids[2], found.mean[2], found.std[2])
    some = found[found.mean < np.median(found.mean)]
    assert 0 < len(some) < len(found)
    assert some.mean.max() < np.median(found.mean)
    assert found[1:3].ids == found.ids[1:3]
    assert [row.id for row in found] == found.ids
    with pytest.raises(InputError, match="no crystal has the id 'x'"):
        found["x"]


def test_predictions_are_shown_as_a_small_table_and_a_data_frame(trained_model, test_set):
    found = predict(trained_model, test_set)
    lines = repr(found).splitlines()
    assert lines[0] == f"Predictions of {len(found)} crystals, 0 skipped"
    assert lines[1].split() == ["id", "e-form@low", "(eV/atom)", "std"]
    assert lines[-1] == f"... {len(found) - 5} more"
    frame = found.to_frame()
    assert list(frame.columns) == ["id", "e-form@low", "e-form@low:std", "unseen_elements"]
    assert frame["e-form@low"].tolist() == found.mean.tolist()
    assert repr(trained_model).startswith("Model of e-form@low (eV/atom): ")
    assert repr(trained_model).count("\n") == 0


def test_unseen_elements_are_named_in_one_warning(trained_model, crystals, ionic_store, caplog):
    seen = predict(trained_model, ionic_store.split(seed=0)[0])
    assert (set(seen.unseen), seen.unseen_elements, seen.unseen_note) == ({()}, (), "")
    assert not caplog.records
    strange = [with_element(crystals[k], number) for k, number in ((0, 97), (1, 96))]
    found = predict(trained_model, [*strange, *crystals[2:5]])
    assert found.unseen == [("Bk",), ("Cm",), (), (), ()]
    assert found.unseen_elements == ("Cm", "Bk")
    assert found[1:3].unseen == [("Cm",), ()]
    assert found.to_frame()["unseen_elements"].tolist() == ["Bk", "Cm", "", "", ""]
    message = "2 of 5 structures contain elements never seen in training: Cm, Bk"
    assert [record.getMessage() for record in caplog.records] == [message]
    assert found.unseen_note == message
    alone = predict(trained_model, strange[:1])
    assert alone.unseen_note.startswith("1 of 1 structures contains elements")


def test_a_model_without_a_record_says_so_once(trained_model, crystals, caplog):
    inference.log_unrecorded.cache_clear()
    caplog.set_level("INFO")
    unknown = trained_model.replace(record=None)
    for _ in range(2):
        found = predict(unknown, [with_element(crystals[0], 96)])
    assert found.unseen is None
    assert (found.unseen_elements, found.unseen_note) == ((), inference.UNRECORDED)
    messages = [r.getMessage() for r in caplog.records if "does not record" in r.getMessage()]
    assert len(messages) == 1
    assert Predictor.of([trained_model, unknown]).unseen is None


def test_evaluation_names_the_crystals_of_the_training(
    trained_model, ionic_store, train_set, test_set, caplog
):
    evaluate(trained_model, test_set)
    assert "in the training set" not in caplog.text
    caplog.clear()
    evaluate(trained_model, ionic_store)
    predictor = Predictor.of(trained_model)
    formulas = set(train_set.formulas)
    known = [sum(f in formulas for f in data.formulas) for data in (ionic_store, test_set)]
    message = (
        f"{len(train_set)} of the 120 crystals were in the training set of the model (by graph), "
        f"{known[0]} by formula; 12 more in its validation set; "
        "their errors are those of training"
    )
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 120 structures contain elements never seen in training: Si, In, Bi",
        message,
    ]
    assert count_trained_on(predictor.members, test_set) == (0, 0, known[1], 12, "the model")
    assert predictor.seen(ionic_store.all(), "formula").sum() == known[0]
    np.testing.assert_array_equal(
        np.flatnonzero(predictor.seen(ionic_store.all())), np.sort(train_set.rows)
    )
    renamed = GraphList([dataclasses.replace(ionic_store.graph(int(train_set.rows[0])), id="new")],
                        train_set.graph_config)  # fmt: skip
    text = count_trained_on(predictor.members, renamed).text("test crystals")
    assert text.startswith(
        "1 of the 1 test crystals was in the training set of the model (by graph)"
    )
    unknown = Predictor.of(trained_model.replace(record=None))
    assert count_trained_on(unknown.members, test_set) is None
    with pytest.raises(InputError, match="does not record the crystals"):
        unknown.seen(test_set)


def test_a_pass_collects_the_atomic_fractions(trained_model, test_set):
    [found] = BatchRunner((Pass(trained_model, "composition"),), 8)(test_set)
    fractions = found["composition"]
    np.testing.assert_allclose(fractions.sum(1), 1, rtol=1e-6)
    for row, graph in zip(fractions, test_set, strict=True):
        counts = np.bincount(graph.atomic_numbers, graph.node_multiplicity, minlength=104)
        np.testing.assert_allclose(row, counts / counts.sum(), rtol=1e-6)
