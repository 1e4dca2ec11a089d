"""What data sets have in common: the same ids, formulas, crystals or structure types.

A test set says little about crystals that the training set holds under another id, and nothing
about new structure types if it shares all of its own. The report counts both, between data sets and
within each.
"""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from cgatjax.data.datasets import Dataset
from cgatjax.data.store import Store
from cgatjax.errors import InputError, MismatchError
from cgatjax.graphs.hashes import hashes_of
from cgatjax.runtime.atomic_files import write_durably

KEYS = ("id", "formula", "graph", "prototype")
"""What crystals can be compared by: id, reduced formula, hash of the graph, of its prototype."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What two data sets have in common by one key.

    Attributes:
      by: one of `KEYS`.
      first, second: names of the data sets.
      n_keys: distinct keys that both have.
      n_first, n_second: crystals of each with such a key.
    """

    by: str
    first: str
    second: str
    n_keys: int
    n_first: int
    n_second: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlap:
    """The report.

    Attributes:
      ids: data set -> ids of its crystals.
      keys: key -> data set -> one value per crystal.
    """

    ids: Mapping[str, Sequence[str]]
    keys: Mapping[str, Mapping[str, Sequence[str]]]

    def distinct(self, by: str, name: str) -> int:
        """Number of distinct keys in a data set; the rest of its crystals repeat one of them."""
        return len(set(self.keys[by][name]))

    def pairs(self) -> list[Shared]:
        """What each two data sets share, by each key."""
        return [
            _shared(by, pair, self.keys[by])
            for by in self.keys
            for pair in combinations(self.ids, 2)
        ]

    def write(self, path: str | Path) -> int:
        """Writes a CSV with one line for each crystal that shares a key with another one.

        Columns are by, key, set, id; the lines of one key stand together.

        Returns:
          The number of lines.

        Raises:
          InputError: the file exists.
          StorageError: it cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise InputError(f"{path}: exists; choose another name or remove it")
        rows = [row for by in self.keys for row in self._repeated(by)]
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("by", "key", "set", "id"), *rows])
        write_durably(path, text.getvalue().encode())
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
    """Compares data sets, or the parts of a split.

    Args:
      sets: name -> store or data set; one is enough to look for repetitions within it.
      by: some of `KEYS`. Hashes of graphs take some 0.2 ms a crystal.

    Raises:
      InputError: no data set, or an unknown key.
      MismatchError: hashes are asked for and the graphs were made with different options.
    """
    unknown = [key for key in by if key not in KEYS]
    if unknown or not by or not sets:
        raise InputError(f"expected data sets and some of {list(KEYS)}, got {list(by)}")
    configs = {name: data.graph_config for name, data in sets.items()}
    if len(set(configs.values())) > 1 and {"graph", "prototype"} & set(by):
        raise MismatchError(
            "hashes of graphs can only be compared if the graphs were made with the same options, "
            f"got {configs}; featurize anew, or compare by id and formula only"
        )
    return Overlap(
        ids={name: data.ids for name, data in sets.items()},
        keys={key: {name: _keys(data, key) for name, data in sets.items()} for key in by},
    )


def find_duplicates(ids: Sequence[str], home: Store, store: Store, by: str) -> tuple[str, ...]:
    """Ids of the crystals of a store that share a key with given crystals of another one.

    Args:
      ids: the given crystals.
      home: the store that has them.
      store: where to look; may be the same one.
      by: one of `KEYS`.

    Raises:
      InputError: `home` lacks one of the ids, so that what is like it would be missed; or an
        unknown key.
      MismatchError: hashes are asked for and the graphs were made with different options.
    """
    try:
        given = Dataset(home, home.rows_of(ids))
    except InputError as error:
        raise InputError(
            f"{error}; leave out by id alone, or name the store that holds these crystals"
        ) from error
    keys = compare({"given": given, "store": store}, [by]).keys[by]
    unwanted = set(keys["given"])
    return tuple(i for i, key in zip(store.ids, keys["store"], strict=True) if key in unwanted)


def _keys(data: Store | Dataset, by: str) -> list[str]:
    if by == "id":
        return data.ids
    if by == "formula":
        return data.formulas
    whole = data.all() if isinstance(data, Store) else data
    reduced = isinstance(whole.store, Store) and whole.store.reduced
    hashes = hashes_of(whole.take, len(whole), with_elements=by == "graph", reduced=reduced)
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
