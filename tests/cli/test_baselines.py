"""Commands with a model that learned the difference to a low-fidelity value."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.commands import ok, read_csv, refused

import cgatjax as cg
from cgatjax.structures.cif_writer import cif_text

LOW, HIGH = "e-form@low", "e-form@high"


@pytest.fixture(scope="module")
def difference(tmp_path_factory: pytest.TempPathFactory, store: Path, tiny_config: Path) -> Path:
    """Run that learned the difference of the high- to the low-fidelity energies."""
    run = tmp_path_factory.mktemp("baselines") / "difference"
    ok("train", store, "--target", HIGH, "--baseline", LOW, "--loss", "robust_l1",
       "--out", run, "--config", tiny_config)  # fmt: skip
    return run


@pytest.fixture(scope="module")
def crystals(dcgat_file: Path) -> list[cg.Crystal]:
    return [c for c in cg.read_crystals([dcgat_file]) if isinstance(c, cg.Crystal)]


def predictions(path: Path) -> dict[str, float]:
    return {row["id"]: float(row["prediction"]) for row in read_csv(path)}


def test_info_names_the_baseline(difference: Path) -> None:
    assert f"{HIGH} = {LOW} + mean + std x network" in ok("info", difference)


def test_predictions_of_files_need_the_low_fidelity_value(
    difference: Path, crystals: list[cg.Crystal], dcgat_file: Path, tmp_path: Path
) -> None:
    ok("predict", difference, dcgat_file, "--out", tmp_path / "archive.csv")
    expected = predictions(tmp_path / "archive.csv")
    model = cg.load_model(difference)
    rest = np.array([expected[c.id] - c.targets[LOW] for c in crystals])
    # An untrained network adds about its mean, not the energy itself.
    assert np.abs(rest - model.normalizers[HIGH].mean).max() < 3 * model.normalizers[HIGH].std
    folder = tmp_path / "cifs"
    folder.mkdir()
    for crystal in crystals[:4]:
        (folder / f"{crystal.id}.cif").write_text(cif_text(crystal))
    message = refused("predict", difference, folder)
    assert "no value of ['e-form@low']" in message
    assert "--properties" in message
    table = tmp_path / "low.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", LOW), *((c.id, repr(c.targets[LOW])) for c in crystals[:4])]
        )
    ok("predict", difference, folder, "--properties", table, "--out", tmp_path / "cifs.csv")
    found = predictions(tmp_path / "cifs.csv")
    assert found == pytest.approx({name: expected[name] for name in found}, abs=1e-4)
    ok("select", difference, folder, "--properties", table, "--count", 2,
       "--out", tmp_path / "next.csv")  # fmt: skip
    assert len(read_csv(tmp_path / "next.csv")) == 2


def test_evaluation_calibration_and_process_are_of_the_target(
    difference: Path, store: Path
) -> None:
    assert HIGH in ok("evaluate", difference, store)
    assert "factor" in ok("calibrate", difference, store)
    ok("fit-gp", difference, store)
    predictor = cg.load_predictor(difference, "gp")
    data = cg.open_store(store).all()
    found = cg.predict(predictor, data).mean
    assert np.abs(found - data.target(HIGH)).mean() < np.abs(data.target(HIGH)).mean()
    model = predictor.model
    plain = predictor.processes[HIGH].predict(cg.embed(model, data))[0]
    np.testing.assert_allclose(found, plain + data.target(LOW), atol=1e-6)


def test_structures_with_the_value_are_screened_and_decorations_refused(
    difference: Path, dcgat_file: Path, crystals: list[cg.Crystal], tmp_path: Path
) -> None:
    ok("screen", difference, dcgat_file, "--best", 5, "--keep-unseen", "--out", tmp_path / "hits")
    ok("predict", difference, dcgat_file, "--out", tmp_path / "all.csv")
    lowest = sorted(predictions(tmp_path / "all.csv").values())[:5]
    with (tmp_path / "hits" / "best.csv").open(newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    means = [float(row["mean"]) for row in csv.DictReader(lines)]
    assert means == pytest.approx(lowest, abs=1e-4)
    message = refused(
        "screen", difference, "--prototype", "rocksalt", "--elements", "A=Na,K",
        "--elements", "X=Cl", "--keep-unseen", "--out", tmp_path / "none",
    )  # fmt: skip
    assert "decorations of prototypes do not have" in message


@pytest.fixture(scope="module")
def onto(tmp_path_factory: pytest.TempPathFactory, trained_run: Path, store: Path) -> Path:
    """Run that learned the difference to the prediction of its source."""
    run = tmp_path_factory.mktemp("baselines") / "onto"
    # The table [model] of the file belongs to `train`.
    ok("transfer", store, "--from", trained_run, "--target", HIGH, "--mode", "full", "--epochs", 1,
       "--baseline", "source", "--references", "--out", run)  # fmt: skip
    return run


def test_the_source_as_the_baseline_is_named(onto: Path) -> None:
    report = json.loads((onto / "report.json").read_text())
    assert "source (prediction of e-form@low by" in report["known_parts"][HIGH]


def test_predictions_contain_that_of_the_source(
    onto: Path, dcgat_file: Path, tmp_path: Path
) -> None:
    ok("predict", onto, dcgat_file, "--out", tmp_path / "p.csv")


def test_screening_contains_the_prediction_of_the_source(onto: Path, tmp_path: Path) -> None:
    ok("screen", onto, "--prototype", "rocksalt", "--elements", "A=Na,K", "--elements", "X=Cl,Br",
       "--keep-unseen", "--batch-size", 8, "--out", tmp_path / "hits")  # fmt: skip
