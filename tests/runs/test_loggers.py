"""Loggers: TensorBoard's files, read back, and a substitute of Weights & Biases."""

import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from tests.commands import refused

from cgatjax.config import TrainConfig
from cgatjax.errors import ConfigError, InputError, MissingExtraError
from cgatjax.model.model_io import save_model
from cgatjax.runs.loggers import TensorBoardLogger, WandbLogger, curves, make_logger, read_events
from cgatjax.runs.run_folder import RunFolder
from cgatjax.training.loop import fit

CONFIG = TrainConfig(epochs=4, batch_size=96, learning_rate=5e-3, checkpoint_seconds=0.0)


class Killer:
    """Ends a training in the middle of an epoch, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step, self.closed = step, False

    def log(self, step, values) -> None:
        if step == self.step:
            raise KeyboardInterrupt

    def close(self) -> None:
        self.closed = True


class Wandb(ModuleType):
    """What the logger uses of wandb; runs outlive a session, as they do on a server."""

    def __init__(self, keeps_runs: bool = True) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.sessions, self.logged, self.keeps_runs = [], {}, keeps_runs
        self.finished = 0

    def init(self, **options):
        self.sessions.append(options)
        self.resumed = self.keeps_runs and options["resume"] == "allow"
        self.run = self.logged.setdefault(options["id"], [])
        return self

    @property
    def step(self) -> int:
        return self.run[-1][0] + 1 if self.run else 0

    def log(self, values, step):
        self.run.append((step, values))

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    module = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def expected(rows) -> dict:
    return {
        (name, row["epoch"]): pytest.approx(value, rel=1e-6)
        for row in rows
        for name, value in curves(row).items()
        if not name.startswith("seconds/")
    }


def test_the_numbers_of_an_epoch_are_named_in_groups():
    row = {"epoch": 3, "step": 12, "train_loss": 0.5, "valid_rmse:e-form@a:b": 2, "rate": None}
    assert curves(row) == {"step": 12.0, "train/loss": 0.5, "valid/rmse/e-form@a:b": 2.0}


def test_a_killed_and_resumed_run_has_each_point_once(
    fresh_model, train_set, valid_set, tmp_path, wandb
):
    folder = tmp_path / "run"

    def loggers():
        return [make_logger(name, folder) for name in ("tensorboard", "wandb")]

    killer, run = Killer(3), RunFolder(folder)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh_model, train_set, valid_set, CONFIG, run=run, loggers=[*loggers(), killer])
    assert killer.closed
    (file,) = (folder / "tensorboard").iterdir()
    file.write_bytes(file.read_bytes()[:-3])  # the last point of epoch 3 was cut off
    before = [(tag, step) for tag, step, _ in read_events(folder / "tensorboard")]
    assert max(step for _, step in before) == 3
    resumed = RunFolder(folder, resume=True)
    _, history = fit(fresh_model, train_set, valid_set, CONFIG, run=resumed, loggers=loggers())
    events = list(read_events(folder / "tensorboard"))
    points = {(tag, step): value for tag, step, value in events if "seconds" not in tag}
    assert points == {
        (tag.replace("@", "_"), step): value
        for (tag, step), value in expected(history.rows).items()
    }
    assert len(events) == len(points) + 4 * 4  # seconds of four kinds of work, each once
    (logged,) = wandb.logged.values()
    assert [step for step, _ in logged] == [1, 2, 3, 4]
    assert [values["train/loss"] for _, values in logged] == history.column("train_loss")
    assert [s["resume"] for s in wandb.sessions] == [None, "allow"]
    assert wandb.sessions[1]["name"] == "run"
    assert wandb.finished == 2


def test_without_a_server_the_folder_records_the_logged_steps(tmp_path, wandb):
    wandb.keeps_runs = False
    for steps in ((1, 2), (1, 2, 3)):
        logger = WandbLogger(tmp_path / "run", project="crystals", config={"epochs": 3})
        logger.close()
        for step in steps:
            logger.log(step, {"loss": 0.5})
        logger.close()
    assert [step for step, _ in next(iter(wandb.logged.values()))] == [1, 2, 3]
    assert wandb.sessions[0]["project"] == "crystals"
    assert wandb.sessions[0]["config"] == {"epochs": 3}
    (tmp_path / "run" / "wandb.json").write_text(json.dumps({"id": 1}))
    message = r"wandb\.json: cannot be read as the id of a W&B run.*remove it"
    with pytest.raises(InputError, match=message):
        WandbLogger(tmp_path / "run").log(4, {})


def test_only_the_first_process_logs(fresh_model, train_set, valid_set, tmp_path, monkeypatch):
    monkeypatch.setattr("cgatjax.training.loop.is_first_process", lambda: False)
    logger = TensorBoardLogger(tmp_path / "events")
    fit(fresh_model, train_set, valid_set, CONFIG.replace(epochs=1), loggers=[logger])
    assert not (tmp_path / "events").exists()


def test_a_missing_package_is_named_before_anything_is_written(ionic_store, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = ("--target", "e-form@low", "--out", tmp_path / "run")
    for name, package in (("tensorboard", "tensorboardX"), ("wandb", "wandb")):
        with pytest.raises(MissingExtraError, match=f"pip install {package}"):
            make_logger(name, tmp_path)
        line = refused("train", ionic_store.path, *arguments, "--log", name)
        assert f"logging to {name} needs {package}" in line
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=r"among \['tensorboard', 'wandb'\], got 'mlflow'"):
        make_logger("mlflow", tmp_path)


def test_the_commands_name_the_loggers(ionic_store, fresh_model, tmp_path, wandb, monkeypatch):
    given = []

    def stop(*arguments, loggers, **options):
        given.append(loggers)
        raise InputError("far enough")

    monkeypatch.setattr("cgatjax.fit", stop)
    monkeypatch.setattr("cgatjax.transfer_model", stop)
    save_model(tmp_path / "model", fresh_model)
    options = ("--target", "e-form@low", "--log", "tensorboard", "--log", "wandb")
    refused("train", ionic_store.path, "--out", tmp_path / "a", *options)
    base = ("transfer", ionic_store.path, "--from", tmp_path / "model", "--mode", "full")
    refused(*base, "--out", tmp_path / "b", *options)
    kinds = [TensorBoardLogger, WandbLogger]
    assert [[type(logger) for logger in loggers] for loggers in given] == [kinds, kinds]
