"""Every command from end to end on generated crystals, and what each says to a mistake."""

import csv
import dataclasses
import gzip
import json
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
from tests.commands import ok, refused, run

from cgatjax.cli import main
from cgatjax.data.splits import Split
from cgatjax.data.store import open_store
from cgatjax.models.model_io import load_model
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

TINY = """
[model]
node_dim = 6
edge_dim = 4
heads = 2
steps = 1
composition_steps = 1
composition_hidden = 6
head_widths = [8]
[train]
epochs = 2
batch_size = 16
"""
LOW, HIGH = "e-form@low", "e-form@high"


class Place(NamedTuple):
    """Where the commands of this module have left their results."""

    root: Path
    data: Path
    store: Path
    config: Path
    pbe: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("cli")
    data = write_dcgat(ionic_crystals(48), root / "ionic.json.gz")
    config = root / "tiny.toml"
    config.write_text(TINY)
    ok("featurize", data, "--out", root / "ionic.store", "--workers", 1)
    store = root / "ionic.store"
    ok("train", store, "--target", LOW, "--out", root / "pbe", "--config", config)
    return Place(root, data, store, config, root / "pbe")


def test_help_of_every_command_gives_an_example() -> None:
    for name in main.commands:
        assert f"cgatjax {name}" in ok(name, "--help")
    assert "cgatjax featurize" in ok("--help")
    assert "0." in ok("--version")


def test_featurize_counts_what_it_leaves_out(place: Place, tmp_path: Path) -> None:
    poor = json.loads(gzip.decompress(place.data.read_bytes()))
    poor["entries"][3]["structure"]["sites"][0]["species"] = [{"element": "Xx", "occu": 1.0}]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(poor))
    options = ("--workers", 1, "--max-atoms", 8)
    line = refused("featurize", bad, "--out", tmp_path / "a.store", *options)
    assert "Xx" in line
    output = ok("featurize", bad, "--out", tmp_path / "b.store", "--on-error", "skip", *options)
    store = open_store(tmp_path / "b.store")
    filtered = store.manifest["n_filtered"]
    assert f"{len(store)} crystals kept, {filtered} filtered, 1 skipped" in output
    assert len(store) + filtered + 1 == 48
    assert "Xx" in output
    assert "skipped.csv" in output


def test_featurize_takes_a_table_of_energies(tmp_path: Path) -> None:
    poscar = "rock salt\n1.0\n0 2 2\n2 0 2\n2 2 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
    cells, table = tmp_path / "cells", tmp_path / "cells" / "energies.csv"
    cells.mkdir()
    for name in ("a", "b"):
        (cells / f"{name}.vasp").write_text(poscar)
    table.write_text("file,e-form,heat\na,-1.5,\nb,-2,3\n")
    base = ("featurize", cells, "--workers", 1)
    assert "--properties" in refused(*base, "--out", tmp_path / "x")
    output = ok(*base, "--properties", table, "--out", tmp_path / "store")
    assert "2 crystals kept" in output
    assert "e-form (eV/atom): 2 values\n  heat (unit unknown: --unit): 1 values" in output
    table.unlink()
    assert "properties.csv" in refused(*base, "--target", "e-form", "--out", tmp_path / "y")
    assert "no properties" in ok(*base, "--out", tmp_path / "z")


def test_a_folder_that_is_none_of_ours_is_called_so(place: Place, tmp_path: Path) -> None:
    assert "there is no such folder" in refused("evaluate", place.pbe, tmp_path / "none")
    assert "store.json, made by `cgatjax featurize`; it has none" in refused(
        "evaluate", place.pbe, tmp_path
    )
    assert "of a model; it holds none" in refused("evaluate", place.store, place.store)
    assert "there is no such folder" in refused("info", tmp_path / "none")


def test_graph_options_come_from_flags_over_file_over_preset(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "graph.toml"
    file.write_text('[graph]\nmax_neighbors = 12\nsplit_shell = "cut"\n')
    ok("featurize", place.data, "--out", tmp_path / "s", "--workers", 1, "--recommended",
       "--config", file, "--max-neighbors", 16, "--target", LOW, "--unit", f"{LOW}=eV",
       "--no-reduce")  # fmt: skip
    store = open_store(tmp_path / "s")
    config = store.graph_config
    assert (config.max_neighbors, config.split_shell) == (16, "cut")
    assert config.tolerance_kind == "relative"
    assert store.units == {LOW: "eV"}
    assert not store.reduced


def test_featurize_makes_differences(place: Place, tmp_path: Path) -> None:
    gain = f"gain={HIGH},{LOW}"
    ok("featurize", place.data, "--out", tmp_path / "s", "--workers", 1, "--target", LOW,
       "--difference", gain)  # fmt: skip
    store = open_store(tmp_path / "s")
    both = open_store(place.store)
    assert store.units == {LOW: "eV/atom", "gain": "eV/atom"}
    np.testing.assert_array_equal(store.target("gain"), both.target(HIGH) - both.target(LOW))
    new = ("--out", tmp_path / "new", "--workers", 1)
    for wrong in ("gain", f"gain={HIGH}", f"gain={HIGH},{LOW},more"):
        assert "NAME=ONE,OTHER" in refused("featurize", place.data, "--difference", wrong, *new)


def test_featurize_refuses(place: Place, tmp_path: Path) -> None:
    new = ("--out", tmp_path / "new", "--workers", 1)
    assert "choose another folder" in refused("featurize", place.data, "--out", place.store)
    assert "NAME=UNIT" in refused("featurize", place.data, "--unit", "heat", *new)
    assert "no such file" in refused("featurize", tmp_path / "nothing.json", *new)
    assert HIGH in refused("featurize", place.data, "--target", "e-form@none", *new)
    # A mistyped target leaves nothing that would be in the way of the second try.
    ok("featurize", place.data, "--target", LOW, *new)


def test_info_of_a_store_and_of_a_run(place: Place) -> None:
    store = ok("info", place.store)
    for word in ("48 crystals kept", "nodes", "max_neighbors", LOW, "eV/atom", "A^3/atom"):
        assert word in store
    trained = ok("info", place.pbe)
    for word in ("parameters", "node_dim", "max_neighbors", LOW, "valid MAE", "best of 2 epochs"):
        assert word in trained
    assert "error: " in refused("info", place.root)


def test_featurize_resumes_and_a_finished_store_stays_as_it_is(
    place: Place, tmp_path: Path
) -> None:
    command = ("featurize", place.data, "--out", tmp_path / "s", "--workers", 1, "--resume")
    assert "48 crystals kept" in ok(*command)
    assert "48 crystals kept" in ok(*command)
    assert open_store(tmp_path / "s").digest == open_store(place.store).digest
    assert "is finished, with GraphConfig" in refused(*command, "--recommended")
    (tmp_path / "s" / "store.json").rename(tmp_path / "s" / "unfinished.jsonl")
    assert "--resume" in refused("info", tmp_path / "s")


def test_info_verifies_a_store(place: Place, tmp_path: Path) -> None:
    assert "all shards are as they were written" in ok("info", place.store, "--verify")
    assert "expects a store" in refused("info", place.pbe, "--verify")
    copy = shutil.copytree(place.store, tmp_path / "copy")
    shard = copy / "shards" / "00000.arrow"
    data = bytearray(shard.read_bytes())
    data[-300] ^= 1
    shard.write_bytes(data)
    assert "00000.arrow: " in refused("info", copy, "--verify")


def test_train_leaves_a_whole_run(place: Place) -> None:
    for name in ("config.toml", "split.json", "data.json", "history.csv", "model/model.json"):
        assert (place.pbe / name).is_file()
    about = json.loads((place.pbe / "data.json").read_text())
    assert about["store"] == str(place.store)
    assert about["digest"] == open_store(place.store).digest
    assert sum(about["counts"].values()) == 48
    assert load_model(place.pbe).config.node_dim == 6


def test_train_refuses(place: Place, tmp_path: Path) -> None:
    base = ("train", place.store, "--config", place.config)
    new = ("--out", tmp_path / "new")
    assert "--resume" in refused(*base, "--target", LOW, "--out", place.pbe)
    line = refused(*base, "--target", "e-hull", *new)
    assert "'e-hull'" in line
    assert LOW in line
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[model]\nwidth = 3\n")
    line = refused("train", place.store, "--target", LOW, "--config", wrong, *new)
    assert "width" in line
    assert "node_dim" in line
    wrong.write_text("[graph]\nmax_neighbors = 3\n")
    refused("train", place.store, "--target", LOW, "--config", wrong, *new)
    assert "three numbers" in refused(*base, "--target", LOW, "--fractions", "a,b", *new)
    assert not (tmp_path / "new").exists()


def test_resume_goes_on_only_with_the_same_options(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(place.pbe, copy)
    base = ("train", place.store, "--target", LOW, "--config", place.config, "--out", copy)
    assert "best of 2 epochs" in ok(*base, "--resume")
    assert "train.epochs: 2 -> 3" in refused(*base, "--resume", "--epochs", 3)
    assert "split_by: 'id' -> 'formula'" in refused(*base, "--resume", "--split-by", "formula")
    other = tmp_path / "other.store"
    ok("featurize", place.data, "--out", other, "--workers", 1, "--target", LOW)
    line = refused("train", other, *base[2:], "--resume")
    assert "same store" in line
    assert "nothing to resume" in refused(*base[:-1], tmp_path / "none", "--resume")


@pytest.mark.parametrize("by", ["id", "formula"])
def test_excluded_crystals_are_in_no_part(place: Place, tmp_path: Path, by: str) -> None:
    out = tmp_path / "run"
    base = ("train", place.store, "--target", LOW, "--config", place.config, "--epochs", 0)
    output = ok(*base, "--seed", 3, "--exclude", place.pbe, "--exclude-by", by, "--out", out)
    judged, seen = Split.load(place.pbe / "split.json"), Split.load(out / "split.json")
    assert f"excluded by {place.pbe}" in output
    everything = {*seen.train, *seen.valid, *seen.test}
    assert not everything & {*judged.valid, *judged.test}
    assert len(everything) <= 48 - len(judged.valid) - len(judged.test)


def test_a_structure_type_is_excluded_with_all_its_decorations(place: Place, tmp_path: Path):
    data = open_store(place.store)
    types = data.hashes("prototype")
    (tmp_path / "ids.txt").write_text(f"{data.ids[0]}\n")
    ok("train", place.store, "--target", LOW, "--config", place.config, "--epochs", 0,
       "--exclude", tmp_path / "ids.txt", "--exclude-by", "prototype",
       "--out", tmp_path / "run")  # fmt: skip
    seen = Split.load(tmp_path / "run" / "split.json")
    others = {i for i, t in zip(data.ids, types, strict=True) if t != types[0]}
    assert {*seen.train, *seen.valid, *seen.test} == others
    assert 2 < len(others) < 47


def test_a_store_stands_for_what_its_transfer_holds_out(place: Place, tmp_path: Path) -> None:
    crystals = [dataclasses.replace(c, targets={HIGH: c.targets[HIGH]} if k % 2 else {})
                for k, c in enumerate(ionic_crystals(30))]  # fmt: skip
    data = write_dcgat(crystals, tmp_path / "high.json")
    ok("featurize", data, "--out", tmp_path / "high", "--workers", 1, "--target", HIGH)
    _, valid, test = open_store(tmp_path / "high").split(targets=(HIGH,))
    ok("train", place.store, "--target", LOW, "--config", place.config, "--epochs", 0,
       "--exclude", tmp_path / "high", "--out", tmp_path / "run")  # fmt: skip
    seen = Split.load(tmp_path / "run" / "split.json")
    everything = {*seen.train, *seen.valid, *seen.test}
    assert len(everything) == 48 - len(valid) - len(test)
    assert not everything & {*valid.ids, *test.ids}


def test_a_given_split_a_nested_subset_and_ids_of_a_file(place: Place, tmp_path: Path) -> None:
    ids = open_store(place.store).ids
    Split(train=tuple(ids[:20]), valid=tuple(ids[20:30]), test=()).save(tmp_path / "split.json")
    (tmp_path / "ids.txt").write_text(f"{ids[0]}\n")
    ok("train", place.store, "--target", LOW, "--config", place.config, "--epochs", 0,
       "--split", tmp_path / "split.json", "--train-size", 12, "--exclude", tmp_path / "ids.txt",
       "--out", tmp_path / "run")  # fmt: skip
    split = Split.load(tmp_path / "run" / "split.json")
    assert set(split.train) < set(ids[1:20])
    assert (len(split.train), split.valid) == (12, tuple(ids[20:30]))


def test_transfer_of_the_head_reports_before_and_after(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "head"
    output = ok("transfer", place.store, "--from", place.pbe, "--target", HIGH, "--mode", "head",
                "--epochs", 2, "--batch-size", 16, "--out", out)  # fmt: skip
    for word in ("frozen", "before training", f"head from '{LOW}'", "valid MAE"):
        assert word in output
    assert load_model(out).targets == (HIGH,)
    assert "before training" in ok("info", out)


def test_joint_transfer_keeps_the_old_head(place: Place, tmp_path: Path) -> None:
    base = ("transfer", place.store, "--from", place.pbe, "--target", HIGH, "--out", tmp_path / "j")
    assert "--with" in refused(*base, "--mode", "joint")
    assert "--with" in refused(*base, "--mode", "full", "--with", place.store)
    ok(*base, "--mode", "joint", "--with", place.store, "--epochs", 0, "--batch-size", 16,
       "--lr-group", "encoder/*=0.1", "--unfreeze", "1:encoder/*")  # fmt: skip
    assert load_model(tmp_path / "j").targets == (LOW, HIGH)


def test_transfer_refuses(place: Place, tmp_path: Path) -> None:
    base = ("transfer", "--from", place.pbe, "--mode", "full", "--out", tmp_path / "new")
    assert "'e-hull'" in refused(*base, place.store, "--target", "e-hull")
    wrong = refused(*base, place.store, "--target", HIGH, "--lr-group", "encoder/*")
    assert "PATTERN=FACTOR" in wrong
    wrong = refused(*base, place.store, "--target", HIGH, "--unfreeze", "x:encoder/*")
    assert "EPOCH:PATTERN" in wrong
    other = tmp_path / "other.store"
    ok("featurize", place.data, "--out", other, "--workers", 1, "--max-neighbors", 12)
    assert "max_neighbors: model 24, data 12" in refused(*base, other, "--target", HIGH)
    assert not (tmp_path / "new").exists()


def test_evaluate_takes_the_test_part_unless_told(place: Place, tmp_path: Path) -> None:
    n_test = len(Split.load(place.pbe / "split.json").test)
    file, plot = tmp_path / "errors.csv", tmp_path / "parity.png"
    output = ok("evaluate", place.pbe, place.store, "--out", file, "--plot", plot)
    assert f"test set of the run's split: {n_test} crystals" in output
    assert "eV/atom" in output
    rows = read_csv(file)
    assert [*rows[0]] == ["id", "property", "target", "prediction", "std", "unit"]
    assert len(rows) == n_test
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "48 crystals" in ok("evaluate", place.pbe, place.store, "--subset", "all")
    assert "choose another name" in refused("evaluate", place.pbe, place.store, "--out", file)
    shutil.copytree(place.pbe / "model", tmp_path / "model")
    assert "48 crystals" in ok("evaluate", tmp_path / "model", place.store)
    assert "--subset all" in refused(
        "evaluate", tmp_path / "model", place.store, "--subset", "test"
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def test_predict_writes_units_and_why_there_is_no_std(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    assert "48 crystals, 0 skipped" in ok("predict", place.pbe, place.data, "--out", out)
    header = [line for line in out.read_text().splitlines() if line.startswith("#")]
    assert str(place.pbe) in header[0]
    assert "robust" in header[1]
    rows = read_csv(out)
    assert [*rows[0]] == ["id", "property", "prediction", "std", "unit"]
    assert {(r["property"], r["std"], r["unit"]) for r in rows} == {(LOW, "", "eV/atom")}
    assert "choose another name" in refused("predict", place.pbe, place.data, "--out", out)
    from_store = tmp_path / "store.csv"
    ok("predict", place.pbe, place.store, "--out", from_store)
    old = {r["id"]: float(r["prediction"]) for r in rows}
    new = {r["id"]: float(r["prediction"]) for r in read_csv(from_store)}
    assert new == pytest.approx(old, abs=1e-4)


def test_predict_lists_what_it_skips(place: Place, tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("no structure in here")
    out = tmp_path / "out.csv"
    inputs = (place.data, tmp_path / "broken.cif")
    assert "broken" in refused("predict", place.pbe, *inputs, "--out", out)
    assert not out.exists()
    output = ok("predict", place.pbe, *inputs, "--out", out, "--on-error", "skip")
    assert "48 crystals, 1 skipped" in output
    assert [row["id"] for row in read_csv(tmp_path / "out.skipped.csv")] == ["broken"]


def test_import_reference_needs_a_checkpoint(tmp_path: Path) -> None:
    line = refused("import-reference", tmp_path / "no.ckpt", "--out", tmp_path / "run")
    assert line
    assert not (tmp_path / "run").exists()


def test_debug_shows_the_traceback_and_an_interrupt_has_its_code(tmp_path: Path) -> None:
    result = run("--debug", "info", tmp_path)
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "InputError"

    @click.command()
    def stop() -> None:
        raise KeyboardInterrupt

    main.add_command(stop)
    try:
        assert run("stop").exit_code == 130
    finally:
        del main.commands["stop"]


def test_messages_come_once_and_the_log_is_left_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("cgatjax")
    before = (list(logger.handlers), logger.level, logger.propagate)

    @click.command()
    def speak() -> None:
        logger.info("epoch 1")
        logger.warning("a step was skipped")

    main.add_command(speak)
    try:
        assert run("speak").stderr == "epoch 1\nwarning: a step was skipped\n"
        assert run("--quiet", "speak").stderr == "warning: a step was skipped\n"
    finally:
        del main.commands["speak"]
    assert not caplog.records
    assert (list(logger.handlers), logger.level, logger.propagate) == before
