"""Ensembles: members are what single runs are, the folder is resumed, commands accept it."""

import csv
import dataclasses
import os
import signal

import jax
import numpy as np
import pytest
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.errors import ConfigError, Interrupted
from cgatjax.inference.prediction import evaluate
from cgatjax.inference.predictor import Predictor
from cgatjax.models.model import fresh_params
from cgatjax.runs.run_folder import RunFolder
from cgatjax.training.compiled import compiled_for
from cgatjax.training.ensembles import fit_ensemble, transfer_ensemble
from cgatjax.training.loop import fit, fit_trainer
from cgatjax.training.monitor import StepMonitor
from cgatjax.training.transfer_params import TRAINED, label_parameters
from cgatjax.training.vmapped_ensembles import train_side_by_side

LOW, HIGH = "e-form@low", "e-form@high"
FAST = cg.TrainConfig(epochs=2, batch_size=32, learning_rate=5e-3, loss="robust_l1", seed=3)


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.fixture(scope="module")
def two(fresh_model, sets, tmp_path_factory):
    """A trained ensemble of two, and its folder."""
    path = tmp_path_factory.mktemp("ensemble") / "run"
    found, histories = fit_ensemble(fresh_model, *sets[:2], FAST, size=2, run=RunFolder(path))
    return found, histories, path


def test_members_are_what_single_runs_with_their_seeds_are(two, fresh_model, sets):
    found, histories, path = two
    seeded = fresh_model.replace(params=fresh_params(fresh_model, sets[0], 4))
    alone, history = fit(seeded, *sets[:2], FAST.replace(seed=4))
    assert same(alone.params, found.members[1].params)
    assert not same(alone.params, found.members[0].params)
    column = f"valid_mae:{LOW}"
    assert history.column(column) == histories[1].column(column)
    assert same(cg.load_model(path / "members" / "1").params, alone.params)
    assert [same(a.params, b.params) for a, b in zip(
        cg.load_predictor(path).members, found.members, strict=True
    )] == [True, True]  # fmt: skip


def test_members_share_their_compiled_steps(fresh_model, trained):
    model = fresh_model.replace(normalizers=trained[0].normalizers)
    labels = label_parameters(model.params, [("*", TRAINED)])
    first = compiled_for(model, FAST, labels)
    later = model.replace(params=trained[0].params)
    assert compiled_for(later, FAST.replace(seed=9, epochs=7), labels) is first
    assert compiled_for(model, FAST.replace(loss="l1"), labels) is not first
    other = {LOW: cg.Normalizer(mean=0.0, std=1.0)}
    assert compiled_for(model.replace(normalizers=other), FAST, labels) is not first


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4), a, b)


@pytest.mark.long
def test_side_by_side_members_are_those_that_were_trained_alone(
    two, fresh_model, sets, tmp_path, monkeypatch
):
    """Stopped in the second epoch, and gone on with; SGD, which does not scale rounding up."""
    path, config = tmp_path / "run", FAST.replace(optimizer="sgd", learning_rate=0.01)
    arguments = (fresh_model, *sets[:2], config)
    alone, histories = fit_ensemble(*arguments, size=2)
    watch = StepMonitor.watch

    def watching(self, *report):
        if report[:2] == (2, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        watch(self, *report)

    with monkeypatch.context() as patched:
        patched.setattr(StepMonitor, "watch", watching)
        with pytest.raises(Interrupted, match="after epoch 1 and 1 steps"):
            fit_ensemble(*arguments, size=2, run=RunFolder(path), side_by_side=True)
    run = RunFolder(path, resume=True)
    found, together = fit_ensemble(*arguments, size=2, run=run, side_by_side=True)
    for number in range(2):
        close(found.members[number].params, alone.members[number].params)
        for name in ("train_loss", f"valid_mae:{LOW}", "step"):
            expected = histories[number].column(name)
            assert together[number].column(name) == pytest.approx(expected, rel=1e-3)
    assert not same(found.members[0].params, found.members[1].params)


def test_side_by_side_needs_one_device_and_equal_runs(fresh_model, sets):
    config = FAST.replace(devices=2)
    with pytest.raises(ConfigError, match="share one device"):
        fit_ensemble(fresh_model, *sets[:2], config, size=2, side_by_side=True)
    trainers = [fit_trainer(fresh_model, *sets[:2], FAST.replace(loss=o)) for o in ("l1", "l2")]
    with pytest.raises(ConfigError, match="run 1 differs from run 0"):
        train_side_by_side(trainers)


def test_an_ensemble_stopped_in_its_second_member_goes_on(two, fresh_model, sets, tmp_path):
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

    arguments = (fresh_model, *sets[:2], FAST.replace(checkpoint_seconds=0))
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


def test_transfer_starts_from_the_old_members_in_turn(two, sets):
    config = cg.TransferConfig(mode="head", target=HIGH, train=FAST)
    found, histories = transfer_ensemble(two[0], sets[:2], config, size=3)
    old = two[0].members
    encoders = [m.params["encoder"] for m in found.members]
    assert same(encoders[0], old[0].params["encoder"])
    assert same(encoders[1], old[1].params["encoder"])
    assert same(encoders[2], old[0].params["encoder"])
    heads = [m.params["heads"][HIGH] for m in found.members]
    assert not same(heads[0], heads[2])
    assert len(histories) == 3
    with pytest.raises(ConfigError, match="at least 1 member, got 0"):
        transfer_ensemble(two[0], sets[:2], config, size=0)


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
    assert "ensemble" in ok(*command, *again, "--ensemble", 2)
    assert "at least 2 members" in refused(*command, "--ensemble", 1)
    out = tmp_path / "p.csv"
    ok("predict", run, ionic_store.path, "--out", out)
    text = out.read_text().splitlines()
    assert "ensemble of 2: spread between the members and aleatoric" in text[1]
    rows = list(csv.DictReader(text[2:]))
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
