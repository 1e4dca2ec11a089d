"""`cgatjax transfer` from end to end."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.commands import ok, refused

from cgatjax.config import TrainConfig
from cgatjax.model.model_io import read_model
from cgatjax.plotting.learning_plots import learning_curves

LOW, HIGH = "e-form@low", "e-form@high"


def test_transfer_of_the_head_reports_errors_before_and_after(
    store: Path, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[dict[str, float]]] = {}

    def draw(curves: dict[str, list[dict[str, float]]], *labels: str) -> Any:
        drawn.update(curves)
        return learning_curves(curves, *labels)

    monkeypatch.setattr("cgatjax.cli.plots.learning_curves", draw)
    out = tmp_path / "head"
    output = ok("transfer", store, "--from", trained_run, "--target", HIGH, "--mode", "head",
                "--epochs", 2, "--batch-size", 16, "--out", out, "--plots")  # fmt: skip
    assert [row["epoch"] for row in drawn["validation"]] == [0, 1, 2]
    assert f"before training, valid: MAE {drawn['validation'][0]['MAE']:.5g}" in output
    for word in ("frozen", "before training", f"the head of '{LOW}'", "valid MAE"):
        assert word in output
    assert output.count("re-initialized: 0 in 0 arrays") == 1
    assert read_model(out).targets == (HIGH,)
    assert "before training" in ok("info", out)


def test_joint_transfer_keeps_the_old_head(store: Path, trained_run: Path, tmp_path: Path) -> None:
    base = ("transfer", store, "--from", trained_run, "--target", HIGH, "--out", tmp_path / "j")
    assert "--with" in refused(*base, "--mode", "joint")
    assert "--with" in refused(*base, "--mode", "full", "--with", store)
    ok(*base, "--mode", "joint", "--with", store, "--epochs", 0, "--batch-size", 16,
       "--lr-group", "encoder/*=0.1", "--unfreeze", "1:encoder/*")  # fmt: skip
    assert read_model(tmp_path / "j").targets == (LOW, HIGH)
    assert f"lowest validation error of '{HIGH}'" in ok("info", tmp_path / "j")


def test_training_options_come_from_the_source_run(
    store: Path, trained_run: Path, tmp_path: Path
) -> None:
    def written(
        out: str, start: Path, *flags: object, mode: str = "head"
    ) -> tuple[TrainConfig, str]:
        output = ok("transfer", store, "--from", start, "--target", HIGH, "--mode", mode,
                    "--epochs", 0, "--out", tmp_path / out, *flags)  # fmt: skip
        tables = tomllib.loads((tmp_path / out / "config.toml").read_text())
        return TrainConfig(**tables["transfer"]["train"]), output

    source = shutil.copytree(trained_run, tmp_path / "source")
    text = (source / "config.toml").read_text()
    for old, new in (("batch_size = 16", "batch_size = 12"), ("devices = 1", "devices = 4")):
        assert old in text
        text = text.replace(old, new)
    (source / "config.toml").write_text(text)
    first, output = written("first", source)
    assert first == TrainConfig(epochs=0, batch_size=12).for_transfer()
    assert "learning rate 0.0002, schedule cosine, 2 epochs, batches of 12" in output
    assert written("none", source, mode="none")[0] == TrainConfig(epochs=0, batch_size=12)
    assert written("second", tmp_path / "first")[0] == first
    assert written("third", source, "--preset", "paper")[0] == TrainConfig.paper(epochs=0)
    assert written("fourth", source, "--batch-size", 8)[0].batch_size == 8
    bare, output = written("fifth", source / "model")
    assert bare == TrainConfig(epochs=0).for_transfer()
    assert "records no training options" in output
    (source / "config.toml").write_text(text.replace("batch_size", "crystals"))
    refusal = refused("transfer", store, "--from", source, "--target", HIGH, "--mode", "head",
                      "--out", tmp_path / "sixth")  # fmt: skip
    assert "choose a --preset" in refusal


def test_mistakes_get_one_line(
    dcgat_file: Path, store: Path, trained_run: Path, tmp_path: Path
) -> None:
    base = ("transfer", "--from", trained_run, "--mode", "full", "--out", tmp_path / "new")
    assert "'e-hull'" in refused(*base, store, "--target", "e-hull")
    wrong = refused(*base, store, "--target", HIGH, "--lr-group", "encoder/*")
    assert "PATTERN=FACTOR" in wrong
    wrong = refused(*base, store, "--target", HIGH, "--unfreeze", "x:encoder/*")
    assert "EPOCH:PATTERN" in wrong
    other = tmp_path / "other.store"
    ok("featurize", dcgat_file, "--out", other, "--workers", 1, "--max-neighbors", 12)
    assert "max_neighbors: model 24, data 12" in refused(*base, other, "--target", HIGH)
    assert not (tmp_path / "new").exists()
