"""Data leakage: removal of held-out crystals from the data that a network is trained on.

An encoder that was pre-trained on low-fidelity labels of the crystals of a high-fidelity test set
has seen their compositions and structures. The reference's scripts remove the ids of these
crystals; here their duplicates can be removed as well (`cgatjax.data.overlap`).
"""

import csv
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cgatjax.config import DuplicateKey, SplitConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.overlap import find_duplicates
from cgatjax.data.splits import SUBSETS, Split, nested_subset
from cgatjax.data.store import MANIFEST, Store, open_store
from cgatjax.errors import ConfigError, InputError
from cgatjax.runs.run_folder import DATA, SPLIT
from cgatjax.runtime import reading

logger = logging.getLogger("cgatjax")
IsSeen = Callable[[Dataset], np.ndarray]
"""Data set -> (crystals,) bool."""
ID_COLUMNS = ("id", "entry_id", "mat_id", "material_id")
"""Names of the id column of a CSV file, in order of preference."""


def exclude(
    split: Split,
    store: Store,
    held_out: Split | Dataset | Iterable[str],
    *,
    by: DuplicateKey = "id",
    home: Store | None = None,
) -> Split:
    """Remove held-out crystals, and their duplicates, from every subset of a split.

    Args:
      split: the split to change, of ids of `store`.
      store: the store that is split.
      held_out: a data set; a split, whose validation and test set are held out; or crystal ids.
        Ids that `split` lacks are ignored.
      by: "id" removes the held-out ids alone; "formula", "graph" and "prototype" also every crystal
        with the same reduced formula, the same graph (crystal) or the same structure type.
      home: the store of the held-out ids, for all `by` other than "id"; `store` by default. Not
        needed with a data set, which knows its store.

    Raises:
      InputError: `home` lacks a held-out id, so that its duplicates cannot be found.
      MismatchError: `by` compares graphs that were made with different options.

    Examples:
      >>> import tempfile
      >>> import cgatjax as cg
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = cg.build_store(cg.ionic_crystals(12), f"{folder}/low", cg.GraphConfig())
      ...     _, _, test = store.split(seed=1)
      ...     split = cg.exclude(store.make_split(seed=2), store, test, by="formula")
      ...     train, _, _ = store.apply(split)
      ...     set(train.formulas) & set(test.formulas)
      set()
    """
    if isinstance(held_out, Dataset):
        ids = held_out.ids
    else:
        ids = list(_held_out_ids(held_out) if isinstance(held_out, Split) else held_out)
    unwanted = set(ids)
    if by != "id":
        crystals = held_out if isinstance(held_out, Dataset) else _crystals(ids, home or store)
        unwanted.update(find_duplicates(crystals, store, by))
    subsets = {s: tuple(i for i in getattr(split, s) if i not in unwanted) for s in SUBSETS}
    return Split(**subsets)


def exclude_seen(split: Split, store: Store, is_seen: IsSeen) -> Split:
    """Remove crystals that a model was trained on from the validation and the test set.

    They may stay in the training set: their new values are new to the model. `is_seen` marks the
    crystals of a data set that the model was trained on (`Predictor.seen`).

    Raises:
      InputError: the model has no record of its training, or no validation crystal is left.
    """
    left = {}
    for subset in ("valid", "test"):
        ids: tuple[str, ...] = getattr(split, subset)
        seen = is_seen(Dataset(store, store.rows_of(ids)))
        left[subset] = tuple(i for i, known in zip(ids, seen, strict=True) if not known)
        logger.info(
            "excluded as seen in training: %d of %d %s crystals", seen.sum(), len(ids), subset
        )
    if not left["valid"]:
        raise InputError(
            f"{store.path}: the model was trained on all validation crystals; exclude by graph "
            "instead of formula, or change the fractions of the split"
        )
    return Split(train=split.train, **left)


def read_held_out(
    source: str | Path, store: Store, targets: Sequence[str], options: SplitConfig
) -> tuple[tuple[str, ...], Store]:
    """Read the ids that a run, a store or a file holds out, and the store of these crystals.

    Args:
      source: run folder (validation and test ids of its split), store (the same, split with
        `options` among the crystals with a value of the targets), or a file for `read_ids`.
      store: returned as the store of ids from a file, and of a run whose own store has moved.
      targets: targets of the training; labels after "@" are ignored.
      options: split options of the training.

    Raises:
      InputError: the source cannot be read, or has no ids.
      TargetError: no crystal of the source has a value of the targets.
    """
    source = Path(source)
    if (source / MANIFEST).is_file():
        home = open_store(source)
        # The subsets of a later transfer to this store, which knows the properties by other labels.
        wanted = {target.split("@")[0] for target in targets}
        columns = [name for name in home.units if name.split("@")[0] in wanted]
        return _held_out_ids(_new_split(home, columns, options)), home
    if (source / SPLIT).is_file():
        return _held_out_ids(Split.load(source / SPLIT)), _store_of_run(source) or store
    return read_ids(source), store


def split_from_options(
    store: Store, targets: Sequence[str], options: SplitConfig, is_seen: IsSeen | None = None
) -> Split:
    """Split a store, or read a split of it, and remove everything that the options exclude.

    The number of crystals removed by each source is logged.

    Args:
      store: the store to split.
      targets: only crystals with a value of at least one of these take part in a new split.
      options: the split options.
      is_seen: marks the crystals that the pre-trained model was trained on, for `exclude_seen`.

    Raises:
      ConfigError: `exclude_seen` without a pre-trained model.
      InputError: a source cannot be read, `store` lacks ids of a given split, the training set is
        smaller than the requested subset, or nothing is left to train on.
      TargetError: no crystal has a value of the targets.
      MismatchError: graphs that were made with different options are compared.
    """
    split = Split.load(options.split) if options.split else _new_split(store, targets, options)
    for source in options.exclude:
        ids, home = read_held_out(source, store, targets, options)
        before = _size(split)
        split = exclude(split, store, ids, by=options.exclude_by, home=home)
        logger.info("excluded by %s: %d of %d crystals", source, before - _size(split), before)
    if options.exclude_seen is not None:
        if is_seen is None:
            raise ConfigError("exclude_seen: expected a pre-trained model, there is none")
        split = exclude_seen(split, store, is_seen)
    if not split.train:
        raise InputError(f"{store.path}: no crystal is left to train on; exclude less")
    if options.train_size is not None:
        train = nested_subset(split.train, options.train_size, seed=options.seed)
        split = Split(train=train, valid=split.valid, test=split.test)
    return split


def read_ids(path: str | Path) -> tuple[str, ...]:
    """Read ids: validation and test set of a split, a JSON list, a CSV column, or lines.

    Args:
      path: `.json` with a split or a list, `.csv` with a column named as in `ID_COLUMNS` (the
        first column if there is none), or any other text file with one id per line; lines that
        begin with "#" are comments.

    Raises:
      InputError: the file cannot be read, or has no ids.
    """
    path = Path(path)
    with reading(path, "a file of crystal ids"):
        lines = [line for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]
        if path.suffix == ".json":
            ids = _json_ids(path)
        else:
            ids = _csv_ids(lines) if path.suffix == ".csv" else tuple(x.strip() for x in lines)
        if not ids:
            raise InputError("expected crystal ids, the file holds none")
    return ids


def _json_ids(path: Path) -> tuple[str, ...]:
    content = json.loads(path.read_text())
    if isinstance(content, Mapping):
        return _held_out_ids(Split.load(path))
    if isinstance(content, list) and all(isinstance(item, str | int) for item in content):
        return tuple(str(item) for item in content)
    raise InputError(f"expected a split ({', '.join(SUBSETS)}) or a list of ids")


def _csv_ids(lines: Sequence[str]) -> tuple[str, ...]:
    rows = list(csv.reader(lines))
    header = rows[0] if rows else []
    place = next((header.index(name) for name in ID_COLUMNS if name in header), None)
    body = rows if place is None else rows[1:]
    short = next((row for row in body if len(row) <= (place or 0)), None)
    if short is not None:
        raise InputError(f"expected an id in column {(place or 0) + 1}, got {short!r:.80}")
    return tuple(row[place or 0] for row in body)


def _held_out_ids(split: Split) -> tuple[str, ...]:
    """Ids of the validation and the test set."""
    return (*split.valid, *split.test)


def _size(split: Split) -> int:
    return len(split.train) + len(_held_out_ids(split))


def _new_split(store: Store, targets: Sequence[str], options: SplitConfig) -> Split:
    return store.make_split(
        options.fractions, by=options.split_by, seed=options.seed, targets=targets
    )


def _crystals(ids: Sequence[str], home: Store) -> Dataset:
    try:
        return Dataset(home, home.rows_of(ids))
    except InputError as error:
        raise InputError(
            f"{error}; exclude by id alone, or name the store that has these crystals"
        ) from error


def _store_of_run(run: Path) -> Store | None:
    """Store that a run was trained on, None if it is no longer where it was."""
    try:
        return open_store(json.loads((run / DATA).read_text())["store"])
    except (OSError, ValueError, KeyError, InputError):
        return None
