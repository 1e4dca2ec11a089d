"""Data sets that arguments of public functions mean: stores, their folders, data sets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from cgatjax.data.datasets import Crystals
from cgatjax.data.store import MANIFEST, Store, open_store
from cgatjax.errors import InputError, TargetError


def crystals_of(data: Any, what: str) -> Crystals:
    """Return the data set that an argument is; of a store or the path of one, all crystals.

    InputError for anything else; `what` names the argument.
    """
    if is_store_folder(data):
        data = open_store(data)
    if isinstance(data, Store):
        return data.all()
    if is_dataset(data):
        return cast(Crystals, data)
    found = f"the path {str(data)!r}" if isinstance(data, str | Path) else type(data).__name__
    raise InputError(f"{what}: expected a store or a data set, got {found}")


def require_dataset(data: Any, what: str) -> None:
    """Raise InputError unless an argument is a data set; a store is none, as it has no subsets."""
    if isinstance(data, Store):
        raise InputError(
            f"{what}: expected a data set, got a Store; take its sets, train, valid, test = "
            "store.split(), or store.all()"
        )
    if isinstance(data, str | Path):
        raise InputError(
            f"{what}: expected a data set, got the path {str(data)!r}; open the store and take its "
            f"sets: cg.open_store({str(data)!r}).split()"
        )
    crystals_of(data, what)


def is_store_folder(path: Any) -> bool:
    """Check whether an argument is the path of a finished store."""
    return isinstance(path, str | Path) and (Path(path) / MANIFEST).is_file()


def is_dataset(data: Any) -> bool:
    """Check whether an object has the interface of data sets."""
    return hasattr(data, "take") and hasattr(data, "graph_config") and not isinstance(data, Store)


def one_target(names: Sequence[str], target: str | None) -> str:
    """Return the named target of a model, or its only one; else TargetError."""
    if target is None and len(names) == 1:
        return names[0]
    if target is None or target not in names:
        raise TargetError(f"target: expected one of {list(names)}, got {target!r}")
    return target
