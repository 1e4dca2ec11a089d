"""The demonstration, at a size that tests the code but not the gain of transfer."""

import json
from pathlib import Path

import pytest

from cgatjax.config import ModelConfig, TrainConfig
from cgatjax.data.splits import Split
from cgatjax.data.store import open_store
from cgatjax.demo import DemoConfig, DemoResult, run_demo
from cgatjax.errors import ConfigError, RunExistsError

TINY = DemoConfig(
    crystals=60,
    n_train=16,
    n_valid=6,
    n_test=10,
    model=ModelConfig.small(
        node_dim=6,
        edge_dim=4,
        heads=2,
        steps=1,
        composition_steps=1,
        composition_hidden=6,
        head_widths=(8,),
    ),
    pretrain=TrainConfig(epochs=2, batch_size=16, validate_every=2),
    transfer=TrainConfig(epochs=2, batch_size=8),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


@pytest.fixture(scope="module")
def result(out: Path) -> DemoResult:
    return run_demo(out, TINY)


def test_all_modes_are_evaluated_on_the_same_test_set(result: DemoResult) -> None:
    assert list(result.errors) == ["mean", "low-fidelity model", "none", "head", "full"]
    assert {e["n"] for e in result.errors.values()} == {result.counts["test"]}
    assert all(e["mae"] > 0 for e in result.errors.values())
    assert result.counts["train"] == 16
    assert result.counts["steps"] == 4
    assert set(result.seconds) == {"data", "pretrain", "none", "head", "full"}


@pytest.mark.usefixtures("result")
def test_pre_training_excludes_formulas_of_the_high_fidelity_test_set(out: Path) -> None:
    low, high = open_store(out / "low.store"), open_store(out / "high.store")
    low_split = Split.load(out / "low.run" / "split.json")
    high_split = Split.load(out / "full.run" / "split.json")
    formula_of = dict(zip(low.ids, low.formulas, strict=True))
    held_out = {formula_of[i] for i in (*high_split.valid, *high_split.test)}
    assert not held_out & {formula_of[i] for i in (*low_split.train, *low_split.valid)}
    assert list(low.units) == ["e-form@low", "cell_volume"]
    assert high.units == {"e-form@high": "eV/atom", "cell_volume": "A^3/atom"}


def test_results_figures_and_runs_are_written(out: Path, result: DemoResult) -> None:
    written = json.loads((out / "results.json").read_text())
    assert written["errors"] == result.errors
    for name in ("errors.png", "learning.png", "parity.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    for mode in ("none", "head", "full"):
        assert (out / f"{mode}.run" / "model" / "config.json").is_file()


def test_the_verdict_reports_a_failed_transfer() -> None:
    errors = {name: {"mae": m, "rmse": m, "n": 1} for name, m in
              (("none", 0.2), ("head", 0.3), ("full", 0.1))}  # fmt: skip
    result = DemoResult(errors=errors, fidelity={}, counts={}, seconds={})
    assert "head alone is NOT better" in result.verdict()
    assert "Full transfer is better" in result.verdict()
    assert result.table()[1:] == [("head", "300", "+50 %"), ("full", "100", "-50 %")]


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunExistsError, match="choose another name"):
        run_demo(tmp_path, TINY)


def test_subsets_must_fit_into_the_crystals() -> None:
    with pytest.raises(ConfigError, match="at least 1300"):
        DemoConfig(crystals=100)
    assert DemoConfig.quick().crystals < DemoConfig().crystals
