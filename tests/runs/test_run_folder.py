import csv
import json

import pytest

from cgatjax.config import ModelConfig, TrainConfig, TransferConfig
from cgatjax.errors import ConfigError, InputError, MismatchError, RunExistsError
from cgatjax.runs.run_folder import RunFolder

SECTIONS = {"model": ModelConfig.small(), "train": TrainConfig(epochs=3)}


def test_an_existing_folder_is_an_error_with_advice(tmp_path):
    RunFolder(tmp_path / "run")
    with pytest.raises(RunExistsError, match=r"run exists; add --resume .* or choose another"):
        RunFolder(tmp_path / "run")


def test_only_a_run_can_be_resumed(tmp_path):
    with pytest.raises(InputError, match=r"nothing to resume: no config\.toml"):
        RunFolder(tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_a_run_killed_before_its_options_were_written_starts_again(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("split.json", "data.json.part"):
        (folder / name).touch()
        assert not RunFolder(folder, resume=True).resuming
    (folder / "photo.png").touch()
    with pytest.raises(InputError, match="nothing to resume"):
        RunFolder(folder, resume=True)


def test_a_resumed_run_keeps_its_options(tmp_path):
    RunFolder(tmp_path / "run").save_config(SECTIONS)
    again = RunFolder(tmp_path / "run", resume=True)
    written = (tmp_path / "run" / "config.toml").read_bytes()
    again.save_config(dict(reversed(SECTIONS.items())))
    assert (tmp_path / "run" / "config.toml").read_bytes() == written
    changed = {
        "model": SECTIONS["model"].replace(heads=7),
        "train": TrainConfig(epochs=3, clip_norm=2.0, seed=1),
    }
    message = (
        r"cannot change its options: model\.heads: 3 -> 7; "
        r"train\.clip_norm: None -> 2\.0; train\.seed: 0 -> 1$"
    )
    with pytest.raises(ConfigError, match=message):
        again.save_config(changed)
    safe = TrainConfig(epochs=3, checkpoint_seconds=5.0, max_bad_steps=7)
    again.save_config({**SECTIONS, "train": safe})
    # What is in force is what stands there, and what the next one is compared with.
    text = (tmp_path / "run" / "config.toml").read_text()
    assert "checkpoint_seconds = 5.0" in text
    assert "max_bad_steps = 7" in text


EPOCHS_CASES = [
    ({"schedule": "constant"}, 5, True),
    ({"schedule": "plateau"}, 5, True),
    ({"schedule": "cyclical", "cycle_period": 4}, 5, True),
    ({"schedule": "cyclical"}, 5, False),  # one triangle over the whole run
    ({"schedule": "constant"}, 2, False),
    ({"schedule": "constant", "validate_every": 3}, 5, True),
    ({"schedule": "constant", "validate_every": 2}, 5, False),  # 3 was validated as the last
]


@pytest.mark.parametrize(("options", "epochs", "allowed"), EPOCHS_CASES)
@pytest.mark.parametrize("section", ["train", "transfer"])
def test_more_epochs_only_if_nothing_depends_on_their_number(
    tmp_path, options, epochs, allowed, section
):
    def sections(epochs):
        train = TrainConfig(epochs=epochs, **options)
        return {section: train if section == "train" else TransferConfig(train=train)}

    RunFolder(tmp_path / "run").save_config(sections(3))
    again = RunFolder(tmp_path / "run", resume=True)
    if allowed:
        again.save_config(sections(epochs))
        assert f"epochs = {epochs}" in (tmp_path / "run" / "config.toml").read_text()
    else:
        with pytest.raises(ConfigError, match=f"epochs: 3 -> {epochs}"):
            again.save_config(sections(epochs))


def test_other_data_or_weights_are_refused(tmp_path):
    inputs = {"train": {"crystals": 5, "digest": "ab"}, "weights": "cd"}
    RunFolder(tmp_path / "run").save_inputs(inputs)
    (tmp_path / "run" / "config.toml").touch()
    again = RunFolder(tmp_path / "run", resume=True)
    again.save_inputs(inputs)
    with pytest.raises(MismatchError, match=r"train\.digest: 'ab' -> 'xy'; resume with the same"):
        again.save_inputs({**inputs, "train": {"crystals": 5, "digest": "xy"}})
    (tmp_path / "run" / "inputs.json").write_text("{")
    with pytest.raises(InputError, match=r"inputs\.json: cannot be read as the record"):
        again.save_inputs(inputs)


def test_skipped_batches_after_the_checkpoint_are_removed(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.forget_skipped(0, 0)
    for epoch, step in ((1, 2), (1, 9), (2, 1), (2, 2)):
        run.log_skipped(epoch, step, [f"{epoch}-{step}"])
    with open(run.path / "skipped_batches.jsonl", "a") as file:
        file.write('{"epoch": 2, "st')
    run.forget_skipped(2, 1)
    lines = (run.path / "skipped_batches.jsonl").read_text().splitlines()
    assert [json.loads(line)["ids"] for line in lines] == [["1-2"], ["1-9"], ["2-1"]]


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
