"""`cgatjax transfer` from end to end."""

from pathlib import Path

from tests.commands import ok, refused

from cgatjax.model.model_io import read_model

LOW, HIGH = "e-form@low", "e-form@high"


def test_transfer_of_the_head_reports_errors_before_and_after(
    store: Path, trained_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "head"
    output = ok("transfer", store, "--from", trained_run, "--target", HIGH, "--mode", "head",
                "--epochs", 2, "--batch-size", 16, "--out", out)  # fmt: skip
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
