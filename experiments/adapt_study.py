"""Choice of `cgatjax adapt` against the best candidate in hindsight, on many small tasks.

    python -m experiments adapt --scale local --data DATA --out results --from runs/pbe
    python -m experiments adapt --scale local --data DATA --out results --shuffled

A task is a target set of the study with some of its training crystals; the test set is the study's.
Each adaptation is a folder OUT/SCALE/adapt/TASK that is resumed if it is not finished. Of all
finished tasks, OUT/SCALE/adapt/results.csv has the choices, candidates.csv the test errors of the
single candidates, and networks.csv those of the whole networks after the first fold, for which all
have the same training; they are written again after each task.

`--shuffled` starts from a network that was trained on shuffled labels, a case in which transfer
does harm: the choice must then not be worse than the best simple model.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import numpy as np

import cgatjax as cg
from cgatjax.adaptation.candidates import predictions_of
from cgatjax.adaptation.fold_results import load_result
from cgatjax.data.datasets import Dataset
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError
from cgatjax.runtime.files import write_csv, write_durably
from cgatjax.runtime.text_tables import table
from experiments.grid import Scale, TargetSet
from experiments.grid.datasets import Datasets, nested

LOG = logging.getLogger("cgatjax")
COLUMNS = (
    "task",
    "unit",
    "chosen",
    "test MAE",
    "best single",
    "over best",
    "over simple",
    "68 %",
    "95 %",
    "left out 68 %",
    "left out 95 %",
    "full transfers",
    "seconds",
)
CANDIDATES = ("task", "candidate", "simple", "test MAE")
NETWORKS = ("task", "candidate", "test MAE")
AVERAGED = (
    "target",
    "crystals",
    "seeds",
    "test MAE",
    "over the best candidate",
    "over the best of each seed",
    "over the best simple model",
    "in 68 %",
    "in 95 %",
    "left out: in 68 %",
    "in 95 %",
)
FULL_STEPS = 1000
"""Steps of a full transfer in the study, the unit of the cost."""
NETWORK_ERRORS = "networks.json"
SHUFFLED = "shuffled labels"
"""Name of the source that was trained on shuffled labels."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One adaptation.

    Attributes:
      targets: target set.
      size: crystals to train and validate on.
      seed: seed of the subset and the adaptation.
      with_cheap: True if the low-fidelity value of each crystal is known.
    """

    targets: TargetSet
    size: int
    seed: int
    with_cheap: bool = False

    @property
    def name(self) -> str:
        """Name of the folder."""
        words = self.targets.name.replace(",", "").replace(" ", "-")
        return f"{words}-{self.size}-seed{self.seed}{'-cheap' if self.with_cheap else ''}"


class TooFewError(InputError):
    """A target set has fewer crystals than a task needs."""


def run_task(
    task: Task,
    datasets: Datasets,
    sources: Mapping[str, cg.Model],
    out: Path,
    options: Mapping[str, Any],
) -> cg.Adapted:
    """Run or resume an adaptation, or load a finished one."""
    store = datasets.store(task.targets.high)
    train, _, test = store.apply(datasets.split(task.targets.high))
    target = task.targets.high_target
    known, test = train.with_targets(target), test.with_targets(target)
    baselines = [task.targets.low_value] if task.with_cheap else []
    for name in baselines:
        known, test = known.with_targets(name), test.with_targets(name)
    if task.size > len(known):
        raise TooFewError(f"{task.name}: expected {task.size} crystals, there are {len(known)}")
    pool = nested(known, task.size, task.seed)
    folder = out / "-".join([task.name, *(name.replace(" ", "-") for name in sources)])
    folder.mkdir(parents=True, exist_ok=True)
    split = folder.with_suffix(".split.json")
    cg.Split(train=tuple(pool.ids), valid=(), test=tuple(test.ids)).save(split)
    adapted = cg.adapt(
        store.all().select(np.sort(np.concatenate([pool.rows, test.rows]))),
        target,
        out=folder,
        sources=sources,
        config={**options, "split": str(split), "seed": task.seed, "baselines": baselines},
        resume=True,
        show_progress=True,
    )
    if not (folder / NETWORK_ERRORS).exists():
        errors = json.dumps(network_errors(folder, adapted.result, test), indent=1)
        write_durably(folder / NETWORK_ERRORS, errors.encode())
    return adapted


def network_errors(folder: Path, result: Mapping[str, Any], test: Dataset) -> dict[str, float]:
    """Evaluate the whole networks of an adaptation as they were after the first fold.

    Those that went on are means over the folds in the end, which are better than one training.

    Args:
      folder: of the adaptation.
      result: content of its adapt.json.
      test: crystals of the test set.

    Returns:
      Name of the candidate -> MAE in the target's unit.
    """
    target, errors = result["target"], dict[str, float]()
    for name in (c["name"] for c in result["candidates"] if c["steps"]):
        if found := load_result(folder, name, 0):
            means, _ = predictions_of(found.part(), test, target)
            errors[name] = float(np.abs(means - test.target(target)).mean())
    return errors


def shuffled_source(datasets: Datasets, scale: Scale, targets: TargetSet) -> cg.Model:
    """Train a network on shuffled labels of the low-fidelity data."""
    training = scale.pretraining(targets, 0)
    data = nested(datasets.subsets(training)[0], min(2000, len(datasets.subsets(training)[0])), 0)
    values = np.random.default_rng(0).permutation(data.target(targets.low_target))
    name = targets.high_target
    graphs = GraphList(
        list(data), data.graph_config, {name: values}, {name: data.unit(targets.low_target)}
    )
    crystals = Dataset(graphs, np.arange(len(graphs)))
    cut = len(crystals) // 10
    train, valid = crystals.select(np.arange(cut, len(crystals))), crystals.select(np.arange(cut))
    model = cg.init_model(scale.model, train, target=name, seed=0)
    config = cg.TrainConfig(epochs=8, loss="robust_l1")
    return cg.fit(model, train, valid, config, show_progress=True)[0]


def line(task: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Summarize an adaptation: the chosen error over the best one in hindsight and the simple one.

    Args:
      task: its name.
      result: content of adapt.json.
    """
    single = result["candidates"]
    best = min(single, key=lambda c: c["test_mae"])
    simple = min((c for c in single if c["simple"]), key=lambda c: c["test_mae"])
    mae = result["test"]["mae"]
    coverage = result["test"]["coverage"]
    groups = [group for group in result["groups"].values() if group["coverage"]]
    outside = {
        share: np.average([g["coverage"][share] for g in groups], weights=[g["n"] for g in groups])
        for share in ("68", "95")
        if groups
    }
    return {
        "task": task,
        "unit": result["unit"],
        "chosen": result["chosen"],
        "test MAE": mae,
        "best single": best["name"],
        "over best": mae / best["test_mae"] - 1,
        "over simple": mae / simple["test_mae"] - 1,
        "68 %": coverage.get("68", float("nan")),
        "95 %": coverage.get("95", float("nan")),
        "left out 68 %": outside.get("68", float("nan")),
        "left out 95 %": outside.get("95", float("nan")),
        "full transfers": sum(c["steps"] for c in single) / FULL_STEPS,
        "seconds": result["seconds"],
    }


def candidate_lines(task: str, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the test errors of the single candidates of an adaptation; arguments as of `line`."""
    return [
        {
            "task": task,
            "candidate": c["name"],
            "simple": "yes" if c["simple"] else "no",
            "test MAE": c["test_mae"],
        }
        for c in result["candidates"]
    ]


def averaged(
    rows: Sequence[Mapping[str, Any]], candidates: Sequence[Mapping[str, Any]]
) -> list[list[str]]:
    """Average the rows of the seeds of each task; energies in meV/atom.

    Args:
      rows: of the adaptations (`line`).
      candidates: of their candidates (`candidate_lines`).

    Returns:
      The cells of a table with the columns `AVERAGED`.
    """
    kinds = _by_kind(rows)
    lines, several = [], len({source for source, *_ in kinds}) > 1
    for key, own in sorted(kinds.items(), key=lambda kind: (*kind[0][:3], int(kind[0][3]))):
        source, name, cheap, size = key
        # Sources are told apart only where there are several: a source of shuffled labels beside.
        origin = f" from {source.strip('-').replace('-', ' ')}" if several else ""
        mean = {column: _mean(own, column) for column in COLUMNS[5:11]}
        best, simple = _excess(own, candidates)
        error, unit = fmean(float(row["test MAE"]) for row in own), own[0]["unit"]
        in_mev = unit == "eV/atom"
        lines.append(
            [
                f"{name.replace('-', ' ')}{', cheap value known' if cheap else ''}{origin}",
                f"{int(size):,}",
                str(len(own)),
                f"{1000 * error:.0f} meV/atom" if in_mev else f"{error:.3f} {unit}",
                *(f"{excess:+.0%}" for excess in (best, mean["over best"], simple)),
                *(f"{mean[column]:.0%}" for column in COLUMNS[7:11]),
            ]
        )
    return lines


def verdict(rows: Sequence[Mapping[str, Any]], candidates: Sequence[Mapping[str, Any]]) -> str:
    """Say how often the choice was as good as it should be, with the seeds of a task averaged."""
    kinds = list(_by_kind(rows).values())
    over = [_excess(own, candidates) for own in kinds]
    near = sum(best <= 0.03 for best, _ in over)
    of_each = sum(_mean(own, "over best") <= 0.03 for own in kinds)
    cost = max(float(row["full transfers"]) for row in rows)
    shares = [f"{_mean(rows, column):.0%}" for column in COLUMNS[7:11]]
    return (
        f"{near} of {len(kinds)} tasks within 3 % of the best candidate in hindsight ({of_each} "
        f"within 3 % of the best one of each seed); at most "
        f"{max(simple for _, simple in over):+.1%} over the best simple model; at most "
        f"{cost:.1f} full transfers; coverage {' and '.join(shares[:2])}, of groups left out "
        f"{' and '.join(shares[2:])}"
    )


def _excess(
    rows: Sequence[Mapping[str, Any]], candidates: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """Compare the choices of all seeds with the candidate that has the least mean error, minus one.

    Returns:
      Over the best of all candidates, and over the best simple one.
    """
    tasks, maes = {row["task"] for row in rows}, dict[tuple[str, str], list[float]]()
    for row in candidates:
        if row["task"] in tasks:
            known = maes.setdefault((row["simple"], row["candidate"]), [])
            known.append(float(row["test MAE"]))
    means = {key: fmean(known) for key, known in maes.items() if len(known) == len(tasks)}
    chosen = _mean(rows, "test MAE")
    simple = min(mean for (is_simple, _), mean in means.items() if is_simple == "yes")
    return chosen / min(means.values()) - 1, chosen / simple - 1


def _by_kind(
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """Group rows by (source, target, cheap value, crystals), the seeds of a task together."""
    kinds = dict[tuple[str, ...], list[Mapping[str, Any]]]()
    for row in rows:
        found = re.fullmatch(r"(.+)-(\d+)-seed\d+(-cheap)?(-.*)?", row["task"])
        if found is None:
            raise InputError(f"expected the name of a task, got {row['task']!r}")
        name, size, cheap, source = found.groups(default="")
        kinds.setdefault((source, name, cheap, size), []).append(row)
    return kinds


def _mean(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    """Average a column over the rows that have a value."""
    values = [float(row[column]) for row in rows]
    known = [value for value in values if np.isfinite(value)]
    return fmean(known) if known else float("nan")


def run_study(
    scale: Scale,
    datasets: Datasets,
    sources: Mapping[str, cg.Model],
    out: Path,
    sizes: Sequence[int],
    shuffled: bool,
    options: Mapping[str, Any],
) -> None:
    """Run all tasks of a scale that are not finished, and print the table."""
    for targets in scale.target_sets[:4]:
        start = dict(sources)
        if shuffled:
            start[SHUFFLED] = _kept(
                out / f"{targets.low_target}.shuffled", datasets, scale, targets
            )
        # The volume of the given cell, the cheap value of volumes, is always known.
        ways = [False, True] if targets.low_value.startswith(("e-form", "band_gap")) else [False]
        for size, seed, cheap in product(sizes, scale.seeds, ways):
            task = Task(targets=targets, size=size, seed=seed, with_cheap=cheap)
            try:
                run_task(task, datasets, start, out, options)
            except TooFewError as error:
                LOG.warning("left out: %s", error)
                continue
            write_results(out)
    rows, candidates = finished(out)
    click.echo(table(AVERAGED, averaged(rows, candidates)))
    if rows:
        click.echo(verdict(rows, candidates))


def finished(out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Summarize all finished adaptations below a folder, and list their candidates."""
    results = {
        file.parent.name: json.loads(file.read_text()) for file in sorted(out.glob("*/adapt.json"))
    }
    candidates = [row for task, result in results.items() for row in candidate_lines(task, result)]
    return [line(task, result) for task, result in results.items()], candidates


def write_results(out: Path) -> None:
    """Write the tables of all finished adaptations below a folder."""
    rows, candidates = finished(out)
    networks = [
        (file.parent.name, *error)
        for file in sorted(out.glob(f"*/{NETWORK_ERRORS}"))
        for error in json.loads(file.read_text()).items()
    ]
    write_csv(out / "results.csv", [COLUMNS, *(list(row.values()) for row in rows)])
    write_csv(out / "candidates.csv", [CANDIDATES, *(list(row.values()) for row in candidates)])
    write_csv(out / "networks.csv", [NETWORKS, *networks])


def _kept(path: Path, datasets: Datasets, scale: Scale, targets: TargetSet) -> cg.Model:
    """Load the source with shuffled labels, or train and save it."""
    if not path.is_dir():
        cg.save_model(path, shuffled_source(datasets, scale, targets))
    return cg.load_model(path)
