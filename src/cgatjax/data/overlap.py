"""Overlap of data sets: shared ids, formulas, crystals and structure types.

A test set says little about crystals that the training set has under another id, and nothing about
new structure types if it shares all of its own. The report counts both, between data sets and
within each.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import get_args

from cgatjax.config import DuplicateKey
from cgatjax.data.datasets import Dataset
from cgatjax.data.store import Store
from cgatjax.errors import InputError, MismatchError
from cgatjax.graphs.hashes import hashes_of
from cgatjax.runtime import require_new, write_csv

KEYS: tuple[DuplicateKey, ...] = get_args(DuplicateKey)
"""Keys to compare crystals by: id, reduced formula, graph hash, and that of the prototype."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Overlap of two data sets by one key.

    Attributes:
      by: one of `KEYS`.
      first, second: names of the data sets.
      n_keys: number of distinct keys that both have.
      n_first, n_second: number of crystals of each with such a key.
    """

    by: str
    first: str
    second: str
    n_keys: int
    n_first: int
    n_second: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlap:
    """Report of the overlap of data sets.

    Attributes:
      ids: data set -> ids of its crystals.
      keys: key -> data set -> one value per crystal.
    """

    ids: Mapping[str, Sequence[str]]
    keys: Mapping[str, Mapping[str, Sequence[str]]]

    def distinct(self, by: str, name: str) -> int:
        """Count the distinct keys of a data set; its other crystals repeat one of them."""
        return len(set(self.keys[by][name]))

    def pairs(self) -> list[Shared]:
        """Return the overlap of every two data sets, by each key."""
        return [
            _shared(by, pair, self.keys[by])
            for by in self.keys
            for pair in combinations(self.ids, 2)
        ]

    def write(self, path: str | Path) -> int:
        """Write a CSV with one line for each crystal that shares a key with another one.

        Columns are by, key, set, id; the lines of one key stand together.

        Returns:
          Number of lines.

        Raises:
          RunExistsError: the file exists.
        """
        rows = [row for by in self.keys for row in self._repeated(by)]
        require_new(path)
        write_csv(Path(path), [("by", "key", "set", "id"), *rows])
        return len(rows)

    def _repeated(self, by: str) -> list[tuple[str, str, str, str]]:
        counts = Counter(key for values in self.keys[by].values() for key in values)
        rows = [
            (by, key, name, crystal)
            for name, values in self.keys[by].items()
            for key, crystal in zip(values, self.ids[name], strict=True)
            if counts[key] > 1
        ]
        return sorted(rows, key=lambda row: row[1])


def compare(sets: Mapping[str, Store | Dataset], by: Sequence[str] = KEYS) -> Overlap:
    """Compare data sets, or the subsets of a split.

    Args:
      sets: name -> store or data set; a single one is searched for duplicates within it.
      by: some of `KEYS`. Graph hashes take 10 to 40 us per reduced crystal.

    Raises:
      InputError: no data set, or an unknown key.
      MismatchError: graph hashes are requested and the graphs were made with different options.
    """
    unknown = [key for key in by if key not in KEYS]
    if unknown or not by or not sets:
        raise InputError(f"expected data sets and some of {list(KEYS)}, got {list(by)}")
    configs = {name: data.graph_config for name, data in sets.items()}
    if len(set(configs.values())) > 1 and {"graph", "prototype"} & set(by):
        raise MismatchError(
            "graph hashes can only be compared if the graphs were made with the same options, "
            f"got {configs}; featurize again, or compare by id and formula only"
        )
    return Overlap(
        ids={name: data.ids for name, data in sets.items()},
        keys={key: {name: _keys(data, key) for name, data in sets.items()} for key in by},
    )


def find_duplicates(
    crystals: Store | Dataset, store: Store | Dataset, by: DuplicateKey
) -> tuple[str, ...]:
    """Return the ids of a store's crystals that share a key with given crystals.

    Args:
      crystals: the given crystals.
      store: the store to search; may be that of the given crystals.
      by: one of `KEYS`.

    Raises:
      InputError: an unknown key.
      MismatchError: graph hashes are requested and the graphs were made with different options.
    """
    keys = compare({"given": crystals, "store": store}, [by]).keys[by]
    given = set(keys["given"])
    return tuple(i for i, key in zip(store.ids, keys["store"], strict=True) if key in given)


def _keys(data: Store | Dataset, by: str) -> list[str]:
    if by == "id":
        return data.ids
    if by == "formula":
        return data.formulas
    whole = data.all() if isinstance(data, Store) else data
    hashes = hashes_of(whole.take, len(whole), with_elements=by == "graph", reduced=whole.reduced)
    return [f"{value:016x}" for value in hashes.tolist()]


def _shared(by: str, pair: tuple[str, str], keys: Mapping[str, Sequence[str]]) -> Shared:
    first, second = (Counter(keys[name]) for name in pair)
    common = first.keys() & second.keys()
    return Shared(
        by=by,
        first=pair[0],
        second=pair[1],
        n_keys=len(common),
        n_first=sum(first[key] for key in common),
        n_second=sum(second[key] for key in common),
    )
