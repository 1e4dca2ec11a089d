"""Ensembles: members are what single runs are, the folder is resumed, commands accept it."""

import dataclasses

import jax
import numpy as np
import pytest
from tests.commands import ok, read_csv, refused

import cgatjax as cg
from cgatjax.errors import ConfigError, Interrupted
from cgatjax.inference.memory import count_trained_on
from cgatjax.inference.prediction import evaluate
from cgatjax.inference.predictor import Predictor
from cgatjax.model.network import Network
from cgatjax.model.training_record import TrainingRecord
from cgatjax.runs.run_folder import RunFolder
from cgatjax.training.ensembles import fit_ensemble, transfer_ensemble
from cgatjax.training.loop import fit
from cgatjax.training.train_step import step_functions
from cgatjax.training.transfer_params import TRAINED, label_parameters

LOW, HIGH = "e-form@low", "e-form@high"
FAST = cg.TrainConfig(epochs=2, batch_size=32, learning_rate=5e-3, loss="robust_l1", seed=3)


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.fixture(scope="module")
def two(fresh_model, train_set, valid_set, tmp_path_factory):
    """A trained ensemble of two, and its folder."""
    path = tmp_path_factory.mktemp("ensemble") / "run"
    found, histories = fit_ensemble(
        fresh_model, train_set, valid_set, FAST, size=2, run=RunFolder(path)
    )
    return found, histories, path


def test_members_are_what_single_runs_with_their_seeds_are(two, fresh_model, train_set, valid_set):
    found, histories, path = two
    seeded = fresh_model.replace(params=fresh_model.network.init(4))
    alone, history = fit(seeded, train_set, valid_set, FAST.replace(seed=4))
    assert same(alone.params, found.members[1].params)
    assert not same(alone.params, found.members[0].params)
    column = f"valid_mae:{LOW}"
    assert history.column(column) == histories[1].column(column)
    assert same(cg.load_model(path / "members" / "1").params, alone.params)
    assert [same(a.params, b.params) for a, b in zip(
        cg.load_predictor(path).members, found.members, strict=True
    )] == [True, True]  # fmt: skip


def test_members_share_the_record_of_their_training(two, train_set):
    found, _, path = two
    first, second = (member.record for member in found.members)
    assert first is not second
    np.testing.assert_array_equal(first.train.graphs, second.train.graphs)
    assert first.training.max() <= len(train_set)
    assert count_trained_on(found.members, train_set).train == len(train_set)
    saved = cg.load_model(path / "members" / "1").record
    np.testing.assert_array_equal(saved.train.graphs, first.train.graphs)


def test_a_resumed_run_takes_its_record_from_its_model(two, fresh_model, train_set, valid_set,
                                                       monkeypatch):  # fmt: skip
    found, _, path = two

    def refuse(*args, **kwargs):
        raise AssertionError("hashed again")

    monkeypatch.setattr(TrainingRecord, "of", refuse)
    again, _ = fit_ensemble(
        fresh_model, train_set, valid_set, FAST, size=2, run=RunFolder(path, resume=True)
    )
    for old, new in zip(found.members, again.members, strict=True):
        np.testing.assert_array_equal(new.record.train.graphs, old.record.train.graphs)


def test_trainings_that_differ_in_seeds_and_data_share_their_compiled_steps(fresh_model):
    labels = label_parameters(fresh_model.params, [("*", TRAINED)])
    first = step_functions(fresh_model.network, FAST, labels)
    equal = Network(fresh_model.config, fresh_model.element_table)
    assert step_functions(equal, FAST.replace(seed=9, epochs=7), labels) is first
    assert step_functions(equal, FAST.replace(loss="l1"), labels) is not first


def test_an_ensemble_stopped_in_its_second_member_goes_on(
    two, fresh_model, train_set, valid_set, tmp_path
):
    path, stopped = tmp_path / "run", []

    class StopInMemberOne:
        def __init__(self, run):
            self.member = run.path.name

        def log(self, epoch, row):
            if self.member == "1" and not stopped:
                stopped.append(epoch)
                raise Interrupted("stopped for the test", 15)

        def close(self):
            pass

    arguments = (fresh_model, train_set, valid_set, FAST.replace(checkpoint_seconds=0))
    with pytest.raises(Interrupted):
        fit_ensemble(
            *arguments, size=2, run=RunFolder(path), loggers=lambda run: [StopInMemberOne(run)]
        )
    assert (path / "members" / "0" / "model").is_dir()
    found, _ = fit_ensemble(*arguments, size=2, run=RunFolder(path, resume=True))
    for member, expected in zip(found.members, two[0].members, strict=True):
        assert same(member.params, expected.params)
    with pytest.raises(ConfigError, match="ensemble of 2 members can be resumed with as many"):
        fit_ensemble(*arguments, size=1, run=RunFolder(path, resume=True))


def test_transfer_starts_from_the_old_members_in_turn(two, train_set, valid_set):
    config = cg.TransferConfig(mode="head", target=HIGH, train=FAST)
    found, histories = transfer_ensemble(two[0], (train_set, valid_set), config, size=3)
    old = two[0].members
    encoders = [m.params["encoder"] for m in found.members]
    assert same(encoders[0], old[0].params["encoder"])
    assert same(encoders[1], old[1].params["encoder"])
    assert same(encoders[2], old[0].params["encoder"])
    heads = [m.params["heads"][HIGH] for m in found.members]
    assert not same(heads[0], heads[2])
    assert len(histories) == 3
    with pytest.raises(ConfigError, match="at least 1 member, got 0"):
        transfer_ensemble(two[0], (train_set, valid_set), config, size=0)


def test_commands_take_ensembles(ionic_store, tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[model]\nnode_dim = 8\nedge_dim = 6\nheads = 2\nsteps = 2\ncomposition_steps = 1\n"
        "composition_hidden = 8\nhead_widths = [16, 8]\n"
        "[train]\nepochs = 2\nbatch_size = 32\nlearning_rate = 5e-3\n"
    )
    run = tmp_path / "run"
    command = ("train", ionic_store.path, "--target", LOW, "--out", run, "--config", config)
    output = ok(*command, "--loss", "robust_l1", "--ensemble", 2, "--seed", 3)
    assert "ensemble" in output
    store = cg.open_store(ionic_store.path)
    found = cg.load_predictor(run)
    valid = store.apply(cg.Split.load(run / "split.json"))[1]
    assert f"{evaluate(found, valid)['mae']:.5g}" in output
    again = ("--loss", "robust_l1", "--seed", 3, "--resume")
    assert "resume it with --ensemble" in refused(*command, *again)
    finished = ok(*command, *again, "--ensemble", 2)
    assert "all epochs of 2 members were done before" in finished
    assert f"{evaluate(found, valid)['mae']:.5g}" in finished
    assert "at least 2 members" in refused(*command, "--ensemble", 1)
    out = tmp_path / "p.csv"
    ok("predict", run, ionic_store.path, "--out", out)
    text = out.read_text().splitlines()
    assert "ensemble of 2: spread between the members and aleatoric" in text[1]
    rows = read_csv(out)
    expected = cg.predict(found, store)
    assert [float(r["std"]) for r in rows] == pytest.approx(expected.std.tolist(), rel=1e-6)
    part = ("--uncertainty", "aleatoric")
    assert "test set" in ok("evaluate", run, ionic_store.path, *part, "--out", tmp_path / "e.csv")
    assert "mean of 2 members" in (tmp_path / "e.csv").read_text()
    assert "ensemble of 2 members, seeds 3, 4" in ok("info", run)
    assert "test set" in ok("evaluate", run / "members" / "1", ionic_store.path)
    new = ("--target", HIGH, "--mode", "head", "--out", tmp_path / "new", "--epochs", 1)
    line = refused("transfer", ionic_store.path, "--from", run, *new)
    assert "is an ensemble; add --ensemble N" in line


def test_an_ensemble_is_a_predictor_of_equal_members(two):
    found = two[0]
    assert isinstance(found, Predictor)
    assert found.uncertainty == "ensemble"
    assert dataclasses.replace(found, uncertainty="aleatoric").model is found.members[0]
