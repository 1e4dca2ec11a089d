"""Demonstration: low-fidelity pre-training and high-fidelity transfer on synthetic crystals.

The experiment of Hoffmann et al. 2023 in minutes. Many crystals have a low-fidelity formation
energy, few have a high-fidelity one. A network is pre-trained on the low-fidelity energies and then
transferred to the high-fidelity ones in three modes: "none" trains from scratch, "head" trains the
regression head alone, "full" fine-tunes all weights; each with the same number of optimizer steps.
"""

import dataclasses
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.data.splits import make_split
from cgatjax.model.metrics import errors_of
from cgatjax.options import Options
from cgatjax.plotting.learning_plots import learning_curves, parity, transfer_bars
from cgatjax.plotting.style import save_figure
from cgatjax.runs.run_folder import CONFIG, SPLIT
from cgatjax.runtime import require_new, write_durably
from cgatjax.structures import reduced_formula

logger = logging.getLogger("cgatjax")
LOW, HIGH = "e-form@low", "e-form@high"
LOW_MODEL = "low-fidelity model"
"""Label of the pre-trained model, evaluated without transfer."""
MODES = ("none", "head", "full")
RESULTS = "results.json"
MEV = 1000.0
"""meV per eV."""
NETWORK = cg.ModelConfig.small(node_dim=24, edge_dim=16, heads=2, steps=2)
PRETRAIN = cg.TrainConfig(epochs=30, learning_rate=2e-3, validate_every=3)
TRANSFER = cg.TrainConfig(epochs=60, batch_size=32, learning_rate=5e-4, validate_every=3)


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Options):
    """Sizes and training options of the demonstration.

    All `crystals` have a low-fidelity energy, those of the three subsets a high-fidelity one too;
    the sizes of validation and test set are approximate, as formulas are not divided. All transfer
    modes have the options `transfer`.
    """

    crystals: int = 6000
    n_train: int = 200
    n_valid: int = 100
    n_test: int = 1000
    model: cg.ModelConfig = NETWORK
    pretrain: cg.TrainConfig = PRETRAIN
    transfer: cg.TrainConfig = TRANSFER
    seed: int = 0

    def _check(self) -> None:
        high = self.n_train + self.n_valid + self.n_test
        self._require(
            high <= self.crystals, "crystals", f"at least {high} = n_train + n_valid + n_test"
        )

    @classmethod
    def quick(cls, **changes: Any) -> "DemoConfig":
        """Make a short demonstration that shows that everything runs, not the gain of transfer."""
        defaults: dict[str, Any] = {
            "crystals": 1500,
            "n_test": 300,
            "pretrain": PRETRAIN.replace(epochs=6),
            "transfer": TRANSFER.replace(epochs=15),
        }
        return cls(**{**defaults, **changes})


@dataclass(frozen=True, eq=False, kw_only=True)
class DemoResult:
    """Results of the demonstration.

    Attributes:
      errors: name -> {"mae", "rmse", "n"} in eV/atom on the high-fidelity test set. "mean" predicts
        the mean of the training set, "low-fidelity model" is the pre-trained model as it is; the
        others are the transfer modes.
      fidelity: `fidelity_report` of the formation energy.
      counts: crystals in each set, and optimizer steps of each transfer.
      seconds: stage -> wall time.
    """

    errors: dict[str, dict[str, float]]
    fidelity: dict[str, float]
    counts: dict[str, int]
    seconds: dict[str, float]

    def table(self) -> list[tuple[str, str, str]]:
        """Tabulate (name, test MAE in meV/atom, change against "none")."""
        scratch = self.errors["none"]["mae"]
        rows = []
        for name, found in self.errors.items():
            change = "" if name == "none" else f"{100 * (found['mae'] / scratch - 1):+.0f} %"
            rows.append((name, f"{MEV * found['mae']:.0f}", change))
        return rows

    def verdict(self) -> str:
        """Compare "full" and "head" with training from scratch, in a sentence each."""
        mae = {mode: self.errors[mode]["mae"] for mode in MODES}
        parts = []
        for mode, words in (("full", "Full transfer"), ("head", "Training the head alone")):
            better = mae[mode] < mae["none"]
            parts.append(f"{words} is {'better' if better else 'NOT better'} than no transfer.")
        return " ".join(parts)


def run_demo(
    out: str | Path, config: DemoConfig = DemoConfig(), *, show_progress: bool | None = None
) -> DemoResult:
    """Generate crystals, pre-train, transfer in three modes, and write everything to a folder.

    Written to `out`, which must not exist (RunExistsError): DCGAT files and stores of both
    fidelities (`low.store`, `high.store`), the run folders of the pre-training (`low.run`) and of
    each transfer mode (`full.run`), `results.json`, and the figures `errors.png`, `learning.png`,
    `parity.png`.
    """
    out = Path(out)
    require_new(out)
    clock = _Clock()
    crystals = cg.ionic_crystals(config.crystals, seed=config.seed)
    fidelity = cg.fidelity_report(crystals)["e-form"]
    logger.info("%s", _fidelity_note(fidelity))
    split = _high_split(crystals, config)
    low, high = _stores(out, crystals, split, show_progress)
    clock.lap("data")
    low_split = _low_split(low, high, split, config.seed)
    pretrained = _pretrain(out / "low.run", low, low_split, config, show_progress)
    clock.lap("pretrain")
    train, valid, test = high.apply(split)
    mean = np.full(len(test), train.target(HIGH).mean())
    errors = {"mean": errors_of(mean, test.target(HIGH)), LOW_MODEL: _errors(pretrained, test)}
    histories, models = {}, {}
    for mode in MODES:
        models[mode], histories[mode] = _transfer(
            out / f"{mode}.run", pretrained, (train, valid), split, mode, config, show_progress
        )
        errors[mode] = _errors(models[mode], test)
        clock.lap(mode)
    counts = {name: len(getattr(split, name)) for name in ("train", "valid", "test")}
    counts |= {"low": len(low_split.train), "steps": int(histories["full"].rows[-1]["step"])}
    result = DemoResult(errors=errors, fidelity=fidelity, counts=counts, seconds=clock.laps)
    _write(out, config, result, histories, (test.target(HIGH), _predicted(models["full"], test)))
    return result


class _Clock:
    """Wall times of consecutive stages."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._mark = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._mark, 1)
        self._mark = now


def _fidelity_note(fidelity: Mapping[str, float]) -> str:
    return (
        f"low- and high-fidelity formation energy: correlation {fidelity['pearson']:.3f}, "
        f"std of the difference {MEV * fidelity['std_difference']:.0f} meV/atom, after a linear "
        f"fit in the composition {MEV * fidelity['std_learnable']:.0f} meV/atom"
    )


def _high_split(crystals: Sequence[cg.Crystal], config: DemoConfig) -> cg.Split:
    """Split ids into high-fidelity training, validation and test sets, grouped by formula."""
    formulas = [reduced_formula(c.atomic_numbers) for c in crystals]
    sizes = (config.n_train, config.n_valid, config.n_test)
    fractions = tuple(n / len(crystals) for n in sizes)
    split = make_split([c.id for c in crystals], formulas, fractions=fractions, seed=config.seed)  # type: ignore[arg-type]
    return dataclasses.replace(split, train=split.train[: config.n_train])


def _stores(
    out: Path, crystals: Sequence[cg.Crystal], split: cg.Split, show_progress: bool | None
) -> tuple[cg.Store, cg.Store]:
    """Write DCGAT files and stores: low-fidelity energies of all crystals, high of the split's."""
    high_ids = {*split.train, *split.valid, *split.test}
    low = _store(out, crystals, LOW, show_progress)
    return low, _store(out, [c for c in crystals if c.id in high_ids], HIGH, show_progress)


def _store(
    out: Path, crystals: Sequence[cg.Crystal], target: str, show_progress: bool | None
) -> cg.Store:
    name = target.split("@")[1]
    labeled = [dataclasses.replace(c, targets={target: c.targets[target]}) for c in crystals]
    file = cg.write_dcgat(labeled, out / f"{name}.json.gz")
    graphs = cg.GraphConfig.recommended()
    return cg.build_store([file], out / f"{name}.store", graphs, show_progress=show_progress)


def _low_split(low: cg.Store, high: cg.Store, high_split: cg.Split, seed: int) -> cg.Split:
    """Split the low-fidelity crystals, excluding formulas held out at high fidelity (leakage)."""
    split = low.make_split((0.95, 0.05, 0.0), by="formula", seed=seed)
    return cg.exclude(split, low, high_split, by="formula", home=high)


def _pretrain(
    folder: Path, low: cg.Store, split: cg.Split, config: DemoConfig, show_progress: bool | None
) -> cg.Model:
    """Train on the low-fidelity energies."""
    train, valid, _ = low.apply(split)
    logger.info("pre-training on %d low-fidelity energies", len(train))
    model = cg.init_model(config.model, train, target=LOW, seed=config.pretrain.seed)
    run = _run_folder(folder, split)
    return cg.fit(model, train, valid, config.pretrain, run=run, show_progress=show_progress)[0]


def _transfer(
    folder: Path,
    model: cg.Model,
    data: tuple[cg.Dataset, cg.Dataset],
    split: cg.Split,
    mode: str,
    config: DemoConfig,
    show_progress: bool | None,
) -> tuple[cg.Model, cg.History]:
    """Train on the high-fidelity energies in one transfer mode."""
    options = cg.TransferConfig(mode=mode, target=HIGH, train=config.transfer)  # type: ignore[arg-type]
    run = _run_folder(folder, split)
    return cg.transfer_model(model, data, options, run=run, show_progress=show_progress)


def _run_folder(folder: Path, split: cg.Split) -> cg.RunFolder:
    run = cg.RunFolder(folder)
    split.save(folder / SPLIT)
    return run


def _predicted(model: cg.Model, data: cg.Dataset) -> np.ndarray:
    return cg.predict(model, data, show_progress=False).means[model.targets[0]]


def _errors(model: cg.Model, test: cg.Dataset) -> dict[str, float]:
    return errors_of(_predicted(model, test), test.target(HIGH))


def _write(
    out: Path,
    config: DemoConfig,
    result: DemoResult,
    histories: Mapping[str, cg.History],
    full: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write results, options and figures."""
    import tomli_w

    write_durably(out / RESULTS, json.dumps(dataclasses.asdict(result), indent=1).encode())
    write_durably(out / CONFIG, tomli_w.dumps({"demo": config.to_dict()}).encode())
    bars = {name: MEV * result.errors[name]["mae"] for name in (LOW_MODEL, *MODES)}
    rows = {mode: [_in_mev(row) for row in history.rows] for mode, history in histories.items()}
    title = f"{result.counts['train']} high-fidelity formation energies"
    figures = {
        "errors": transfer_bars(bars, "meV/atom", title),
        "learning": learning_curves(rows, unit="meV/atom", title=title),
        "parity": parity(*full, unit="eV/atom", title="full transfer, high-fidelity test set"),
    }
    for name, figure in figures.items():
        save_figure(figure, out / f"{name}.png")


def _in_mev(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the validation error of a history row to meV/atom."""
    column = f"valid_mae:{HIGH}"
    return {"epoch": row["epoch"], column: MEV * row[column] if column in row else None}
