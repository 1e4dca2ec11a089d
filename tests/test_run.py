import csv

import pytest

from cgatjax.config import ModelConfig, TrainConfig
from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.run import RunFolder

SECTIONS = {"model": ModelConfig.small(), "train": TrainConfig(epochs=3)}


def test_an_existing_folder_is_an_error_that_says_what_to_do(tmp_path):
    RunFolder(tmp_path / "run")
    with pytest.raises(RunExistsError, match=r"run exists; add --resume .* or choose another"):
        RunFolder(tmp_path / "run")


def test_only_a_run_can_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"nothing to resume: no config\.toml"):
        RunFolder(tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_resumed_run_keeps_its_options(tmp_path):
    RunFolder(tmp_path / "run").save_config(SECTIONS)
    before = (tmp_path / "run" / "config.toml").read_bytes()
    again = RunFolder(tmp_path / "run", resume=True)
    again.save_config(SECTIONS)
    changed = {
        "model": SECTIONS["model"].replace(heads=7),
        "train": TrainConfig(epochs=3, clip_norm=2.0, seed=1),
    }
    message = (
        r"cannot change its options: model\.heads: was 3, now 7; "
        r"train\.clip_norm: was None, now 2\.0; train\.seed: was 0, now 1"
    )
    with pytest.raises(ConfigError, match=message):
        again.save_config(changed)
    again.save_config({**SECTIONS, "train": TrainConfig(epochs=3, checkpoint_seconds=5.0)})
    assert (tmp_path / "run" / "config.toml").read_bytes() == before


def test_the_history_is_a_table_with_every_column(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.save_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "valid": 1.5}])
    with open(run.path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"epoch": "1", "loss": "0.5", "valid": ""},
        {"epoch": "2", "loss": "0.25", "valid": "1.5"},
    ]
    assert sorted(p.name for p in run.path.iterdir()) == ["history.csv"]
