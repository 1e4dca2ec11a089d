"""Transfers from a pre-trained model to the study's target sets, at several training sizes.

    python -m experiments pretrain transfers --stores STORES --model OUT/pbe --out RESULTS

The model must not have seen the formulas of their validation and test sets (`pretrain train
--exclude`); the results count how many test crystals it has seen. Splits, subsets, validation and
the choice between learning rates are those of the study (`table1`).
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click

import cgatjax as cg
from cgatjax.cli.config_options import Text, chosen, config_options
from cgatjax.inference.memory import count_trained_on
from cgatjax.runtime.files import write_durably
from cgatjax.runtime.text_tables import table
from experiments.grid import TargetSet
from experiments.grid.datasets import nested, split_by_formula
from experiments.scales import SCALES

DERIVED = ("epochs", "validate_every", "seed", "learning_rate")
VALIDATIONS = 30
"""Approximate number of validations of a training."""
RECORD = "record.json"


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


NUMBERS = Text("A,B,...", _numbers, "numbers a,b,...")


@click.command()
@click.option("--stores", type=click.Path(path_type=Path), required=True)
@click.option("--model", required=True, help="Run, folder, name or address of the model.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--sets", multiple=True, help="Data sets; all that the folder of stores has.")
@click.option("--sizes", default="100,300,1000", show_default=True, type=NUMBERS)
@click.option("--rates", default="1e-3,3e-4", show_default=True, type=NUMBERS)
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--training-steps", type=int, default=1000, show_default=True)
@click.option("--mode", type=click.Choice(["full", "head", "none"]), default="full")
@config_options(cg.TrainConfig, "Training", without=DERIVED)
def transfers(
    stores: Path,
    model: str,
    out: Path,
    sets: tuple[str, ...],
    sizes: Sequence[float],
    rates: Sequence[float],
    seeds: int,
    training_steps: int,
    mode: str,
    **flags: Any,
) -> None:
    """Transfer to the study's target sets; finished trainings are never repeated."""
    start = cg.load_model(model)
    options = cg.TrainConfig(**chosen(flags, cg.TrainConfig, without=DERIVED))
    rows = []
    for targets in _target_sets(stores, sets):
        store = cg.open_store(stores / targets.high)
        data = [s.with_targets(targets.high_target) for s in store.apply(split_by_formula(store))]
        for size in (min(int(size), len(data[0])) for size in sizes):
            found = []
            for seed in range(seeds):
                own = nested(data[0], size, seed), *data[1:]
                records = [
                    _record(
                        out / f"{targets.high}-{mode}-{size}-{seed}-{rate:g}",
                        start,
                        own,
                        targets,
                        mode,
                        _schedule(options, size, training_steps).replace(
                            learning_rate=rate, seed=seed
                        ),
                    )
                    for rate in rates
                ]
                found.append(min(records, key=lambda record: record["valid_mae"]))
            rows.append(_row(targets, mode, size, found))
            write_durably(out / "results.csv", _csv(rows).encode())
    click.echo(table(list(rows[0]), [list(row.values()) for row in rows]))


def _target_sets(stores: Path, sets: Sequence[str]) -> Iterator[TargetSet]:
    for targets in SCALES["local"]().target_sets:
        wanted = targets.high in sets if sets else (stores / targets.high).is_dir()
        if wanted and targets.minimum is None:
            yield targets


def _schedule(options: cg.TrainConfig, crystals: int, steps: int) -> cg.TrainConfig:
    epochs = max(1, round(steps / math.ceil(crystals / options.batch_size)))
    return options.replace(epochs=epochs, validate_every=max(1, epochs // VALIDATIONS))


def _record(
    folder: Path,
    start: cg.Model,
    data: Sequence[cg.Dataset],
    targets: TargetSet,
    mode: str,
    options: cg.TrainConfig,
) -> dict[str, Any]:
    """Train and test, or read the record of what was done."""
    if (folder / RECORD).is_file():
        kept: dict[str, Any] = json.loads((folder / RECORD).read_text())
        return kept
    plain = {"mode": mode, "target": targets.high_target}
    config = cg.TransferConfig.of(plain).replace(train=options)
    run = cg.RunFolder(folder, resume=folder.exists())
    model, history = cg.transfer_model(start, data, config, run=run, show_progress=False)
    seen = count_trained_on(cg.Predictor.of(start, "none").members, data[2])
    record = {
        "valid_mae": min(history.column(f"valid_mae:{targets.high_target}")),
        "test_mae": cg.evaluate(model, data[2])["mae"],
        "test_crystals": len(data[2]),
        "learning_rate": options.learning_rate,
        "seen_graphs": seen.train if seen is not None else None,
        "seen_formulas": seen.formulas if seen is not None else None,
    }
    write_durably(folder / RECORD, json.dumps(record, indent=1).encode())
    return record


def _row(
    targets: TargetSet, mode: str, size: int, found: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    errors = [targets.factor * record["test_mae"] for record in found]
    return {
        "property": targets.name,
        "mode": mode,
        "training crystals": size,
        "test MAE": round(mean(errors), 4),
        "std over seeds": round(stdev(errors), 4) if len(errors) > 1 else "",
        "unit": targets.unit,
        "test crystals": found[0]["test_crystals"],
        "seen by graph": found[0]["seen_graphs"],
        "seen by formula": found[0]["seen_formulas"],
    }


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
