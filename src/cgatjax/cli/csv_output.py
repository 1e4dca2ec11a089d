"""What commands read and write alike: new files only, CSV with notes, parts of a run's split."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.data.datasets import Dataset
from cgatjax.data.splits import SUBSETS, Split
from cgatjax.data.store import Store
from cgatjax.errors import InputError, RunExistsError
from cgatjax.runs.run_folder import SPLIT
from cgatjax.runtime.atomic_files import write_durably, writing


def require_new(*paths: str | Path | None) -> None:
    """Raises RunExistsError if one of them exists; None stands for a file that is not asked for."""
    for path in paths:
        if path is not None and Path(path).exists():
            raise RunExistsError(f"{path} exists; choose another name or remove it")


def chosen_part(run: Path, data: Store, part: str | None) -> tuple[Dataset, str]:
    """The crystals of a part of a run's split, and what they are.

    Args:
      run: folder of the run.
      data: the store.
      part: "train", "valid", "test" or "all"; None for the test part if the split is of this store,
        and else for all.

    Raises:
      InputError: the run has no split.
    """
    has_split = (run / SPLIT).is_file()
    if part is None:
        known = has_split and set(Split.load(run / SPLIT).test) <= set(data.ids)
        part = "test" if known and Split.load(run / SPLIT).test else "all"
    if part == "all":
        return data.all(), "all crystals"
    if not has_split:
        raise InputError(f"{run}: has no {SPLIT}, so no part {part!r}; use --part all")
    return data.apply(Split.load(run / SPLIT))[
        SUBSETS.index(part)
    ], f"{part} part of the run's split"


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], notes: Sequence[str]
) -> None:
    """Writes a CSV file whole or not at all; notes are its first lines, after "#".

    Raises:
      StorageError: it cannot be written.
    """
    text = io.StringIO(newline="")
    text.writelines(f"# {note}\n" for note in notes)
    csv.writer(text).writerows([header, *rows])
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, text.getvalue().encode())


def or_empty(value: float) -> str:
    """A cell of a CSV file: all digits, or nothing where there is no number."""
    return repr(float(value)) if np.isfinite(value) else ""
