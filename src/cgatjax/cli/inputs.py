"""Crystals that a command reads: a subset of a store, or structures from files."""

from pathlib import Path

from cgatjax import Dataset, InputError, Split, Store, open_store
from cgatjax.data.splits import SUBSETS
from cgatjax.data.store import is_store_folder
from cgatjax.runs.run_folder import SPLIT


def store_or_files(inputs: tuple[str, ...]) -> Store | list[str]:
    """Return the store that the only input is, or the inputs as a list of files."""
    if len(inputs) == 1 and is_store_folder(inputs[0]):
        return open_store(inputs[0])
    return list(inputs)


def chosen_subset(run: str, data: Store, subset: str | None) -> tuple[Dataset, str]:
    """Return a subset of a store by the split of a run, and a description of it.

    Args:
      run: folder of the run.
      data: the store.
      subset: "train", "valid", "test" or "all"; None for the test set if the split is of this
        store, otherwise for all.

    Raises:
      InputError: the run has no split.
    """
    file = Path(run) / SPLIT
    split = Split.load(file) if file.is_file() else None
    if subset is None:
        is_split = split is not None and split.test and set(split.test) <= set(data.ids)
        subset = "test" if is_split else "all"
    if subset == "all":
        return data.all(), "all crystals"
    if split is None:
        raise InputError(f"{run}: has no {SPLIT}, so no subset {subset!r}; use --subset all")
    return data.apply(split)[SUBSETS.index(subset)], f"{subset} set of the run's split"
