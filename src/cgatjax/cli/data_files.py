"""Data of commands: subsets of stores or files in, CSV files with comment lines out.

Existing files are never overwritten.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import cgatjax as cg
from cgatjax.runtime import write_csv

if TYPE_CHECKING:
    import numpy as np


SHOWN_REASONS = 3
"""Number of skipped crystals that are printed with the reason."""


def store_or_files(inputs: tuple[str, ...]) -> "cg.Store | list[str]":
    """Return the store that the only input is, or the inputs as a list of files."""
    from cgatjax.data.arguments import is_store_folder

    if len(inputs) == 1 and is_store_folder(inputs[0]):
        return cg.open_store(inputs[0])
    return list(inputs)


def chosen_subset(run: str, data: "cg.Store", subset: str | None) -> "tuple[cg.Dataset, str]":
    """Return a subset of a store by the split of a run, and a description of it.

    By default it is the test set if the split is of this store, otherwise all crystals. InputError
    if the run has no split, or one of another store.
    """
    from cgatjax.data.splits import SUBSETS
    from cgatjax.runs.run_folder import SPLIT

    file = Path(run) / SPLIT
    split = cg.Split.load(file) if file.is_file() else None
    if subset is None:
        is_split = split is not None and split.test and set(split.test) <= set(data.ids)
        subset = "test" if is_split else "all"
    if subset == "all":
        return data.all(), "all crystals"
    if split is None:
        raise cg.InputError(f"{run}: has no {SPLIT}, so no subset {subset!r}; use --subset all")
    try:
        found = data.apply(split)[SUBSETS.index(subset)]
    except cg.InputError as error:
        reason = f"the split of {run} is of another store; use --subset all ({error})"
        raise cg.InputError(reason) from error
    return found, f"{subset} set of the run's split"


def require_own(run: str) -> None:
    """Raise InputError for a name or an address, whose folder a command must not change."""
    from cgatjax.pretrained.locations import is_own, locate

    if not is_own(run):
        raise cg.InputError(
            f"{run} is a published model, which is not changed; copy its folder ({locate(run)}), "
            "or transfer it into a run of your own"
        )


def or_empty(value: float) -> str:
    """Return a number with all digits for a CSV file, and "" for one that is not finite."""
    return repr(float(value)) if math.isfinite(value) else ""


def prediction_notes(run: str, found: "cg.Predictions") -> list[str]:
    """Return comment lines: model, source of the stds, unseen elements, seen crystals."""
    stds = [f"std of {t} ({found.units[t] or '?'}): {found.std_notes[t]}" for t in found.means]
    notes = [note for note in (found.unseen_note, found.seen_note) if note]
    return [f"cgatjax model: {run}", *stds, *notes]


def write_predictions(
    path: Path, run: str, found: "cg.Predictions", values: "Mapping[str, np.ndarray] | None" = None
) -> None:
    """Write a row for each crystal and target to a CSV file, with the known values if given."""
    known = [] if values is None else ["target"]
    rows = [["id", "property", *known, "prediction", "std", "unit", "unseen_elements"]]
    for row, name in enumerate(found.ids):
        for target, means in found.means.items():
            numbers = [*([] if values is None else [values[target]]), means, found.stds[target]]
            cells = [or_empty(column[row]) for column in numbers]
            rows.append([name, target, *cells, found.units[target], unseen_of(found.unseen, row)])
    write_csv(path, rows, prediction_notes(run, found))


def unseen_of(unseen: Sequence[Sequence[str]] | None, row: int) -> str:
    """Return the cell of a crystal's elements that the model was never trained on."""
    return " ".join(unseen[row]) if unseen is not None else ""


def echo_skipped(skipped: "Sequence[cg.Rejected]", path: Path | None) -> None:
    """Print the first skipped crystals with the reason, and the file that lists all of them."""
    for item in skipped[:SHOWN_REASONS]:
        click.echo(f"  skipped {item.id or item.source}: {item.reason}")
    if path is not None:
        click.echo(f"  all of them: {path}")
