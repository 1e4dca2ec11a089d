"""Splits of an adaptation: no formula, group or structure type on both sides."""

import dataclasses

import numpy as np
import pytest

from cgatjax.adaptation.checks import check_data
from cgatjax.adaptation.groups import find_groups
from cgatjax.adaptation.sources import Source
from cgatjax.adaptation.task import folds_of, held_back, make_task
from cgatjax.config import AdaptConfig
from cgatjax.data.splits import Split
from cgatjax.errors import InputError
from cgatjax.model.training_record import TrainingRecord

HIGH = "e-form@high"


@pytest.fixture(scope="module")
def data(ionic_store):
    return ionic_store.all()


def test_folds_share_no_formula_and_hold_all(data):
    folds = folds_of(data, 4, seed=0)
    formulas = np.array(data.formulas)
    assert sorted(np.concatenate(folds)) == list(range(len(data)))
    for fold in folds:
        assert not set(formulas[fold]) & set(np.delete(formulas, fold))
        assert len(fold) == pytest.approx(len(data) / 4, abs=0.1 * len(data))


def test_what_stops_a_training_shares_no_formula_with_the_rest(data):
    train, stopping = held_back(data, 0.1, seed=0)
    formulas = np.array(data.formulas)
    assert not set(formulas[train]) & set(formulas[stopping])
    assert len(train) + len(stopping) == len(data)


@pytest.mark.parametrize("kind", ["element-group", "period", "prototype"])
def test_a_split_by_groups_leaves_whole_groups_out(data, kind):
    task = make_task(data, HIGH, AdaptConfig(split_by=kind, test_fraction=0.15))
    together = data.select(np.isfinite(data.target(HIGH)))
    in_test = np.isin(together.rows, task.test.rows)
    for group in find_groups(together, kind):
        if group.mask[in_test].all() and kind == "prototype":
            assert not group.mask[~in_test].any()
    left = [g for g in find_groups(together, kind) if not g.mask[~in_test].any()]
    covered = np.any([g.mask for g in left], axis=0)
    assert (covered == in_test).all()


def test_a_given_split_is_taken(data, tmp_path):
    ids = data.ids
    Split(train=tuple(ids[:90]), valid=tuple(ids[90:100]), test=tuple(ids[100:])).save(
        tmp_path / "split.json"
    )
    task = make_task(data, HIGH, AdaptConfig(split=str(tmp_path / "split.json")))
    assert task.test.ids == ids[100:]
    assert task.pool.ids == ids[:100]
    Split(train=tuple(ids[:90]), valid=(), test=tuple(ids[100:])).save(tmp_path / "some.json")
    with pytest.raises(InputError, match="10 are not"):
        make_task(data, HIGH, AdaptConfig(split=str(tmp_path / "some.json")))


def test_few_crystals_are_refused(data):
    with pytest.raises(InputError, match="expected at least 20 crystals with a value"):
        make_task(data.select(np.arange(10)), HIGH, AdaptConfig())


@pytest.mark.parametrize(("known", "level"), [("pool", "warning"), ("test", "note")])
def test_what_a_source_has_seen_is_told(data, trained_model, known, level):
    """Only crystals that are new to the source show how it predicts new ones."""
    task = make_task(data, HIGH, AdaptConfig())
    record = TrainingRecord.of(TrainingRecord(), [(getattr(task, known), (HIGH,))], [])
    model = trained_model.replace(record=record)
    source = Source(name="pbe", model=model, pool=task.pool, crystals=task.crystals)
    found = [f for f in check_data(task, [source]) if "pbe" in f.text]
    assert found[-1].level == level
    if known == "pool":
        assert "believe the test set" in found[-1].text
        assert f"of the {len(task.pool)} other" in found[-1].text
        assert "that it expects of new ones is added" in found[-1].text
        # A model without standard deviations expects nothing.
        other = dataclasses.replace(source, model=model.replace(predicts_std=()))
        last = [f for f in check_data(task, [other]) if "pbe" in f.text][-1]
        assert last.text.endswith("better than new ones; believe the test set")


def test_groups_of_salts(data):
    names = {group.name for group in find_groups(data, "element-group")}
    assert {"group 1", "group 17"} <= names
    assert all(g.name.startswith("period") for g in find_groups(data, "period"))
    kinds = find_groups(data, "prototype")
    assert sum(int(g.mask.sum()) for g in kinds) == len(data)
