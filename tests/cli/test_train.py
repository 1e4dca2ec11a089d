"""`cgatjax train` from end to end."""

import dataclasses
import json
import shutil
import tomllib
from pathlib import Path

import pytest
from tests.commands import is_png, ok, refused

from cgatjax.data.splits import Split
from cgatjax.data.store import open_store
from cgatjax.model.model_io import read_model
from cgatjax.model.network import Network
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

LOW, HIGH = "e-form@low", "e-form@high"


def test_a_run_folder_is_complete(store: Path, trained_run: Path) -> None:
    for name in ("config.toml", "split.json", "data.json", "history.csv", "model/config.json"):
        assert (trained_run / name).is_file()
    about = json.loads((trained_run / "data.json").read_text())
    assert about["store"] == str(store)
    assert about["digest"] == open_store(store).digest
    assert sum(about["counts"].values()) == 48
    assert read_model(trained_run).config.node_dim == 6


def test_options_come_from_flags_over_file_over_preset(
    store: Path, tiny_config: Path, tmp_path: Path
) -> None:
    ok("train", store, "--target", LOW, "--config", tiny_config, "--out", tmp_path / "run",
       "--preset", "paper", "--epochs", 0, "--steps", 2, "--no-rezero")  # fmt: skip
    options = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    model, train = options["model"], options["train"]
    assert (train["epochs"], train["batch_size"], train["learning_rate"]) == (0, 16, 1.25e-4)
    assert (model["steps"], model["heads"], model["edge_update"]) == (2, 2, "attention")
    assert not model["rezero"]


def test_learning_curves_are_drawn_into_the_run_folder(robust_run: Path) -> None:
    assert is_png(robust_run / "learning.png")


def test_mistakes_get_one_line(
    store: Path, tiny_config: Path, trained_run: Path, tmp_path: Path
) -> None:
    base = ("train", store, "--config", tiny_config)
    new = ("--out", tmp_path / "new")
    assert "--resume" in refused(*base, "--target", LOW, "--out", trained_run)
    line = refused(*base, "--target", "e-hull", *new)
    assert "'e-hull'" in line
    assert LOW in line
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[model]\nwidth = 3\n")
    line = refused("train", store, "--target", LOW, "--config", wrong, *new)
    assert "width" in line
    assert "node_dim" in line
    wrong.write_text("[graph]\nmax_neighbors = 3\n")
    refused("train", store, "--target", LOW, "--config", wrong, *new)
    assert "three numbers" in refused(*base, "--target", LOW, "--fractions", "a,b", *new)
    assert not (tmp_path / "new").exists()


def test_a_run_is_resumed_with_the_same_options_only(
    dcgat_file: Path,
    store: Path,
    tiny_config: Path,
    trained_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained_run, copy)
    base = ("train", store, "--target", LOW, "--config", tiny_config, "--out", copy)
    with monkeypatch.context() as finished:
        finished.setattr(Network, "init", lambda self, seed: pytest.fail("compiles"))
        output = ok(*base, "--resume")
    assert "best of 2 epochs" in output
    assert "all 2 epochs were done before" in output
    line = refused(*base, "--resume", "--epochs", 3)
    assert "train.epochs: 2 -> 3" in line
    assert "transfer --from RUN --mode full --normalizer keep" in line
    assert "split_by: 'id' -> 'formula'" in refused(*base, "--resume", "--split-by", "formula")
    other = tmp_path / "other.store"
    ok("featurize", dcgat_file, "--out", other, "--workers", 1, "--target", LOW)
    line = refused("train", other, *base[2:], "--resume")
    assert "same store" in line
    assert "nothing to resume" in refused(*base[:-1], tmp_path / "none", "--resume")


@pytest.mark.parametrize("by", ["id", "formula"])
def test_excluded_crystals_are_in_no_subset(
    store: Path, tiny_config: Path, trained_run: Path, tmp_path: Path, by: str
) -> None:
    out = tmp_path / "run"
    base = ("train", store, "--target", LOW, "--config", tiny_config, "--epochs", 0)
    output = ok(*base, "--seed", 3, "--exclude", trained_run, "--exclude-by", by, "--out", out)
    held_out, seen = Split.load(trained_run / "split.json"), Split.load(out / "split.json")
    assert f"excluded by {trained_run}" in output
    everything = {*seen.train, *seen.valid, *seen.test}
    assert not everything & {*held_out.valid, *held_out.test}
    assert len(everything) <= 48 - len(held_out.valid) - len(held_out.test)


def test_a_structure_type_is_excluded_with_all_its_decorations(
    store: Path, tiny_config: Path, tmp_path: Path
):
    data = open_store(store)
    types = data.hashes("prototype")
    (tmp_path / "ids.txt").write_text(f"{data.ids[0]}\n")
    ok("train", store, "--target", LOW, "--config", tiny_config, "--epochs", 0,
       "--exclude", tmp_path / "ids.txt", "--exclude-by", "prototype",
       "--out", tmp_path / "run")  # fmt: skip
    seen = Split.load(tmp_path / "run" / "split.json")
    others = {i for i, t in zip(data.ids, types, strict=True) if t != types[0]}
    assert {*seen.train, *seen.valid, *seen.test} == others
    assert 2 < len(others) < 47


def test_a_store_stands_for_the_crystals_that_its_transfer_holds_out(
    store: Path, tiny_config: Path, tmp_path: Path
) -> None:
    crystals = [dataclasses.replace(c, targets={HIGH: c.targets[HIGH]} if k % 2 else {})
                for k, c in enumerate(ionic_crystals(30))]  # fmt: skip
    data = write_dcgat(crystals, tmp_path / "high.json")
    ok("featurize", data, "--out", tmp_path / "high", "--workers", 1, "--target", HIGH)
    _, valid, test = open_store(tmp_path / "high").split(targets=(HIGH,))
    ok("train", store, "--target", LOW, "--config", tiny_config, "--epochs", 0,
       "--exclude", tmp_path / "high", "--out", tmp_path / "run")  # fmt: skip
    seen = Split.load(tmp_path / "run" / "split.json")
    everything = {*seen.train, *seen.valid, *seen.test}
    assert len(everything) == 48 - len(valid) - len(test)
    assert not everything & {*valid.ids, *test.ids}


def test_a_given_split_with_a_nested_subset_and_excluded_ids_of_a_file(
    store: Path, tiny_config: Path, tmp_path: Path
) -> None:
    ids = open_store(store).ids
    Split(train=tuple(ids[:20]), valid=tuple(ids[20:30]), test=()).save(tmp_path / "split.json")
    (tmp_path / "ids.txt").write_text(f"{ids[0]}\n")
    ok("train", store, "--target", LOW, "--config", tiny_config, "--epochs", 0,
       "--split", tmp_path / "split.json", "--train-size", 12, "--exclude", tmp_path / "ids.txt",
       "--out", tmp_path / "run")  # fmt: skip
    split = Split.load(tmp_path / "run" / "split.json")
    assert set(split.train) < set(ids[1:20])
    assert (len(split.train), split.valid) == (12, tuple(ids[20:30]))


def test_a_corrected_command_works_after_a_mistake(tiny_config: Path, tmp_path: Path) -> None:
    stores = {}
    for n in (1, 4):
        data = write_dcgat(ionic_crystals(n), tmp_path / f"{n}.json")
        stores[n] = tmp_path / f"{n}.store"
        ok("featurize", data, "--out", stores[n], "--workers", 1)
    end = ("--target", LOW, "--config", tiny_config, "--epochs", 0, "--out", tmp_path / "run")
    assert "set is empty" in refused("train", stores[1], *end)
    assert "set is empty" in refused("train", stores[1], *end, "--ensemble", 2)
    assert not (tmp_path / "run").exists()
    ok("train", stores[4], *end, "--fractions", "0.5,0.5,0")
    transfer = ("transfer", stores[1], "--from", tmp_path / "run", "--target", LOW,
                "--mode", "full", "--out", tmp_path / "second")  # fmt: skip
    refused(*transfer)
    assert not (tmp_path / "second").exists()
    refused("train", stores[1], *end)
    assert (tmp_path / "run" / "model").is_dir()
