"""Mistakes in the arguments of trainings: one clear line, and nothing left on the disk."""

import numpy as np
import pytest

import cgatjax as cg
from cgatjax.errors import ConfigError, InputError, MismatchError, TargetError

LOW = "e-form@low"
FAST = {"epochs": 1, "batch_size": 32, "learning_rate": 5e-3, "loss": "robust_l1"}


@pytest.fixture
def untrainable(valid_set):
    """Data set without crystals."""
    return valid_set.select(np.zeros(0, np.int64))


@pytest.mark.parametrize(
    ("swap", "message"),
    [
        (lambda m, t, v: (t, m, v), r"expected a model, got Dataset; the order is cg\.fit\(model"),
        (
            lambda m, t, v: (m, t.store, v),
            r"training set: expected a data set, got a Store; .*split",
        ),
        (lambda m, t, v: (m, t, str(v.store.path)), r"the path '.*'; .*: cg\.open_store\('.*split"),
        (lambda m, t, v: ("runs/pbe", t, v), r"the path 'runs/pbe'; load it: cg\.load_model"),
    ],
)
def test_arguments_of_another_kind(fresh_model, train_set, valid_set, swap, message):
    with pytest.raises(InputError, match=message):
        cg.fit(*swap(fresh_model, train_set, valid_set), FAST)


def test_a_path_is_no_model(train_set):
    for use in (
        lambda: cg.predict("runs/pbe", train_set),
        lambda: cg.evaluate("runs/pbe", train_set),
        lambda: cg.embed("runs/pbe", train_set),
        lambda: cg.select("runs/pbe", train_set, 2),
        lambda: cg.explain("runs/pbe", None),
        lambda: cg.transfer_model("runs/pbe", train_set.store),
        lambda: cg.transfer_ensemble("runs/pbe", train_set.store, size=2),
        lambda: cg.screen("runs/pbe", [], "out"),
    ):
        with pytest.raises(InputError, match=r"cg\.load_model\('runs/pbe'\)"):
            use()


def test_options_may_be_dictionaries(fresh_model, train_set, valid_set):
    model, history = cg.fit(fresh_model, train_set, valid_set, FAST)
    assert len(history.rows) == 1
    options = {"mode": "head", "train": FAST}
    _, history = cg.transfer_model(model, (train_set, valid_set), options)
    assert len(history.rows) == 1
    with pytest.raises(ConfigError, match=r"unknown option\(s\) \['epoch'\]"):
        cg.fit(fresh_model, train_set, valid_set, {"epoch": 1})
    with pytest.raises(ConfigError, match=r"expected a TrainConfig or a dictionary .* got int: 3"):
        cg.fit(fresh_model, train_set, valid_set, 3)


def test_a_mistake_before_the_first_step_leaves_no_folder(
    fresh_model, train_set, valid_set, untrainable, tmp_path
):
    out = tmp_path / "run"
    for data, options, error in (
        (untrainable, FAST, InputError),
        (valid_set, {"epochs": -1}, ConfigError),
        (valid_set, {**FAST, "devices": 32, "batch_size": 32}, ConfigError),
    ):
        with pytest.raises(error):
            cg.fit(fresh_model, train_set, data, options, run=cg.RunFolder(out))
        assert not out.exists()
    with pytest.raises(InputError):
        cg.fit_ensemble(fresh_model, train_set, untrainable, FAST, size=2, run=cg.RunFolder(out))
    options = {"target": "e-hull", "train": FAST}
    with pytest.raises(TargetError):
        cg.transfer_model(fresh_model, (train_set, valid_set), options, run=cg.RunFolder(out))
    with pytest.raises(InputError):
        cg.transfer_model(
            fresh_model, (train_set, untrainable), {"train": FAST}, run=cg.RunFolder(out)
        )
    assert not out.exists()
    # The same folder object serves the corrected call.
    run = cg.RunFolder(out)
    with pytest.raises(InputError):
        cg.fit(fresh_model, untrainable, valid_set, FAST, run=run)
    cg.fit(fresh_model, train_set, valid_set, FAST, run=run)
    assert (out / "model").is_dir()


def test_what_existed_before_or_was_trained_stays(fresh_model, train_set, valid_set, tmp_path):
    run = cg.RunFolder(tmp_path / "run")
    cg.fit(fresh_model, train_set, valid_set, FAST, run=run)
    other = train_set.select(np.arange(20))
    for again in (run, cg.RunFolder(tmp_path / "run", resume=True)):
        again.resuming = True
        with pytest.raises(MismatchError):
            cg.fit(fresh_model, other, valid_set, FAST, run=again)
    assert (tmp_path / "run" / "model").is_dir()
    run = cg.RunFolder(tmp_path / "with notes")
    (run.path / "notes.txt").touch()
    with pytest.raises(InputError):
        cg.fit(fresh_model, train_set, None, FAST, run=run)
    assert [f.name for f in run.path.iterdir()] == ["notes.txt"]
