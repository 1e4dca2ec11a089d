r"""Transfers from a pre-trained model to the study's target sets, at several training sizes.

    python -m experiments pretrain transfers --stores STORES --model OUT/pbe --out RESULTS
    python -m experiments pretrain transfers --stores STORES --model mp-small --out RESULTS \
        --sizes 1000 --baseline low --mode trees --mode gp --mode full

The model must not have seen the formulas of their validation and test sets (`pretrain train
--exclude`); the results count how many test crystals it has seen. Splits, subsets, validation and
the choice between learning rates are those of the study (`table1`).

`--baseline low` learns the difference to the low-fidelity value of each crystal, whatever its name,
`source` that to the prediction of the model; other names are properties. Beside transfer modes,
`--mode` may be `mean`, `trees` on the composition, `gp`, a Gaussian process on the embedding, or
`trees-embedding` on both, and `value`, full transfer of the value beside differences. Several modes
and models get a row of their weighted mean, with the weights that validation chooses.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, get_args

import click
import numpy as np

import cgatjax as cg
from cgatjax.cli.config_options import Text, chosen, config_options
from cgatjax.errors import ConfigError
from cgatjax.inference.baselines import properties_needed
from cgatjax.inference.memory import count_trained_on
from cgatjax.model.normalizer import SOURCE
from cgatjax.runs.run_folder import differences
from cgatjax.runtime.files import write_csv, write_durably
from cgatjax.runtime.text_tables import table
from experiments.grid import TargetSet
from experiments.grid.datasets import nested, split_by_formula
from experiments.scales import SCALES
from experiments.transfer_ways import NETWORKS, Start, Way

DERIVED = ("epochs", "validate_every", "seed", "learning_rate")
VALIDATIONS = 30
"""Approximate number of validations of a training."""
RECORD = "record.json"
SELECTIONS = 20
"""Steps of the selection of weights, so that they are multiples of 0.05."""
FROM_NOTHING = ("none", "trees", "mean")
"""Ways that do not depend on the model, unless they learn the difference to its prediction; of
several models, the first gives the network's size."""
LOW = "low"
"""Baseline that is the low-fidelity value of a crystal, whatever its data set calls it."""
Record = dict[str, Any]
"""Result of a way and a seed: errors, learning rate, predictions."""


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


NUMBERS = Text("A,B,...", _numbers, "numbers a,b,...")


@click.command()
@click.option("--stores", type=click.Path(path_type=Path), required=True)
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="Run, folder, name or address of a model; may be repeated.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--sets", multiple=True, help="Data sets; all that the folder of stores has.")
@click.option("--sizes", default="100,300,1000", show_default=True, type=NUMBERS)
@click.option("--rates", default="1e-3,3e-4", show_default=True, type=NUMBERS)
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--training-steps", type=int, default=1000, show_default=True)
@click.option("--mode", "modes", multiple=True, type=click.Choice(get_args(Way)), default=["full"])
@config_options(cg.TrainConfig, "Training", without=DERIVED)
def transfers(
    stores: Path,
    models: tuple[str, ...],
    out: Path,
    sets: tuple[str, ...],
    sizes: Sequence[float],
    rates: Sequence[float],
    seeds: int,
    training_steps: int,
    modes: tuple[Way, ...],
    **flags: Any,
) -> None:
    """Transfer to the study's target sets; finished trainings are never repeated."""
    names = [Path(model).name for model in models]
    if len(set(names)) < len(names):  # a name is the folder of its trainings
        raise ConfigError(f"expected models with names of their own, got {list(models)}")
    loaded = dict(zip(names, map(cg.load_model, models), strict=True))
    options = cg.TrainConfig(**chosen(flags, cg.TrainConfig, without=DERIVED))
    first, rows = next(iter(loaded.values())), []
    for targets in _target_sets(stores, sets):
        is_low = options.baseline == LOW
        own_options = options.replace(baseline=targets.low_value) if is_low else options
        store = cg.open_store(stores / targets.high)
        data = [s.with_targets(targets.high_target) for s in store.apply(split_by_formula(store))]
        for size in (min(int(size), len(data[0])) for size in sizes):
            found: dict[str, list[Record]] = {}
            for (name, model), mode in product(loaded.items(), modes):
                is_same = mode in FROM_NOTHING and own_options.baseline != SOURCE
                if is_same and model is not first:
                    continue
                way = mode if len(loaded) == 1 or is_same else f"{mode} of {name}"
                starts = [
                    Start(
                        model=model,
                        target=targets.high_target,
                        data=[
                            _known(part, model, own_options.baseline)
                            for part in (nested(data[0], size, seed), *data[1:])
                        ],
                        options=_schedule(own_options, size, training_steps).replace(seed=seed),
                    )
                    for seed in range(seeds)
                ]
                found[way] = [_best(out / name, targets, start, mode, rates) for start in starts]
            found |= _weighted(found, starts[0])
            about = {"model": " + ".join(loaded), "property": targets.name}
            about["learns"] = _learned(own_options.baseline)
            rows += [_row({**about, "mode": k}, targets, size, v) for k, v in found.items()]
            write_csv(out / "results.csv", [list(rows[0]), *(list(row.values()) for row in rows)])
    click.echo(table(list(rows[0]), [list(row.values()) for row in rows]))


def _target_sets(stores: Path, sets: Sequence[str]) -> Iterator[TargetSet]:
    for targets in SCALES["local"]().target_sets:
        wanted = targets.high in sets if sets else (stores / targets.high).is_dir()
        if wanted and targets.minimum is None:
            yield targets


def _known(data: cg.Dataset, model: cg.Model, baseline: str | None) -> cg.Dataset:
    """Leave out crystals without a value of the baseline, the model's own one included."""
    is_own = baseline in (None, SOURCE)
    for name in properties_needed([model]) if is_own else [str(baseline)]:
        data = data.select(np.isfinite(data.target(name)))
    return data


def _learned(baseline: str | None) -> str:
    names = {None: "value", SOURCE: "difference to the source"}
    return names.get(baseline, f"difference to {baseline}")


def _schedule(options: cg.TrainConfig, crystals: int, steps: int) -> cg.TrainConfig:
    epochs = max(1, round(steps / math.ceil(crystals / options.batch_size)))
    return options.replace(epochs=epochs, validate_every=max(1, epochs // VALIDATIONS))


def _best(out: Path, targets: TargetSet, start: Start, way: Way, rates: Sequence[float]) -> Record:
    """Return the result of the learning rate with the lowest validation error."""
    size, options = len(start.data[0]), start.options
    words = [targets.high, way, size, options.seed]
    if options.baseline is not None:
        words.insert(1, f"minus-{options.baseline}")
    name = "-".join(map(str, words))
    if way not in NETWORKS:
        return _record(out / name, start, way, None)
    records = [_record(out / f"{name}-{rate:g}", start, way, rate) for rate in rates]
    return min(records, key=lambda record: record["valid_mae"])


def _record(folder: Path, start: Start, way: Way, rate: float | None) -> Record:
    """Train and test, or read the record of what was done.

    Raises:
      ConfigError: it was done with other options.
    """
    options = start.options.to_dict()
    if rate is None:
        options = {name: options[name] for name in ("baseline", "references", "seed")}
    if (folder / RECORD).is_file():
        kept: Record = json.loads((folder / RECORD).read_text())
        if changes := differences(kept["options"], options):
            found = "; ".join(map(str, changes))
            raise ConfigError(f"{folder}: has other options ({found}); choose another --out")
        return kept
    valid, test = start.predict(way, rate, folder)
    seen = count_trained_on(cg.Predictor.of(start.model, "none").members, start.data[2])
    record = {
        **_errors(start, valid, test),
        "options": options,
        "learning_rate": rate,
        "seen_graphs": seen.train if seen is not None else None,
        "seen_formulas": seen.formulas if seen is not None else None,
        "valid": valid.tolist(),
        "test": test.tolist(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / RECORD, json.dumps(record, indent=1).encode())
    return record


def _errors(start: Start, valid: np.ndarray, test: np.ndarray) -> Record:
    values = [data.target(start.target) for data in start.data[1:]]
    return {
        "valid_mae": float(np.abs(valid - values[0]).mean()),
        "test_mae": float(np.abs(test - values[1]).mean()),
        "test_crystals": len(test),
    }


def _weighted(found: Mapping[str, Sequence[Record]], start: Start) -> dict[str, list[Record]]:
    """Average the ways with the weights that have the lowest validation error over the seeds.

    The weights are chosen by forward selection with replacement (Caruana et al., ICML 2004): the
    way that lowers the error of the mean most is added `SELECTIONS` times.

    Args:
      found: way -> results of the seeds.
      start: its validation and test set are those of all seeds.
    """
    if len(found) < 2:
        return {}
    valid, test = (
        np.array([[r[part] for r in found[way]] for way in found]) for part in ("valid", "test")
    )
    values = start.data[1].target(start.target)
    counts = np.zeros(len(found), int)
    for _ in range(SELECTIONS):
        total = np.tensordot(counts, valid, 1)
        errors = np.abs((total + valid) / (counts.sum() + 1) - values).mean((1, 2))
        counts[errors.argmin()] += 1
    weights = counts / counts.sum()
    name = " + ".join(f"{w:.2f} {way}" for way, w in zip(found, weights, strict=True) if w)
    means = zip(*(np.tensordot(weights, part, 1) for part in (valid, test)), strict=True)
    same = next(iter(found.values()))
    return {name: [{**r, **_errors(start, *m)} for r, m in zip(same, means, strict=True)]}


def _row(
    about: Mapping[str, Any], targets: TargetSet, size: int, found: Sequence[Record]
) -> dict[str, Any]:
    valid, test = (
        [targets.factor * record[name] for record in found] for name in ("valid_mae", "test_mae")
    )
    return {
        **about,
        "training crystals": size,
        "valid MAE": round(fmean(valid), 4),
        "test MAE": round(fmean(test), 4),
        "std over seeds": round(stdev(test), 4) if len(test) > 1 else "",
        "unit": targets.unit,
        "test crystals": found[0]["test_crystals"],
        "seen by graph": found[0]["seen_graphs"],
        "seen by formula": found[0]["seen_formulas"],
    }
