"""The store: featurised crystals in Arrow IPC shards, memory-mapped, one format for everything.

A store is a folder: `store.json` (options, targets with units, shards, counts), `shards/*.arrow`
and `skipped.csv`. A row holds a crystal's id, formula, graph and targets; the files open in
pandas, polars or DuckDB. Writing is in `build`; here they are read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cgatjax.config import GraphConfig
from cgatjax.data.graph_arrays import (
    EDGE_COLUMNS,
    NODE_COLUMNS,
    GraphArrays,
    concatenate,
    ranges,
    reorder,
)
from cgatjax.data.graphs import CrystalGraph
from cgatjax.data.splits import Split, make_split
from cgatjax.data.subsets import Dataset
from cgatjax.errors import CgatjaxError, InputError, TargetError
from cgatjax.options import from_dict

MANIFEST = "store.json"
SKIPPED = "skipped.csv"
FORMAT = 1
GRAPH_FIELDS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "formula": pa.string(),
    "atomic_numbers": pa.list_(pa.uint8()),
    "node_multiplicity": pa.list_(pa.uint16()),
    "site_class": pa.list_(pa.uint16()),
    "edge_center": pa.list_(pa.uint16()),
    "edge_neighbor": pa.list_(pa.uint16()),
    "edge_shell": pa.list_(pa.uint8()),
    "weight_numerator": pa.list_(pa.uint16()),
    "weight_denominator": pa.list_(pa.uint16()),
}
"""Columns of a shard besides the targets (float64, null where unknown)."""


@dataclass(frozen=True, eq=False)
class _Shard:
    """One memory-mapped file: column name -> (offsets, values), or values alone for targets."""

    n_rows: int
    table: pa.RecordBatch
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    def ragged(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        column = self.table.column(name)
        values = column.values.to_numpy(zero_copy_only=True)
        return column.offsets.to_numpy(zero_copy_only=True).astype(np.int64), values

    @cached_property
    def columns(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {name: self.ragged(name) for name in (*NODE_COLUMNS, *EDGE_COLUMNS)}

    def target(self, name: str) -> np.ndarray:
        if name not in self.table.schema.names:
            return np.full(self.n_rows, np.nan)
        if name not in self.targets:
            self.targets[name] = self.table.column(name).to_numpy(zero_copy_only=False)
        return self.targets[name].astype(np.float64)

    def strings(self, name: str) -> list[str]:
        return self.table.column(name).to_pylist()


class Store:
    """A featurised data set on disk, opened read-only with `open_store`.

    Attributes:
      path: its folder.
      graph_config: the options that its graphs were made with.
      units: target name -> unit, "" where unknown.
      reduced: whether sites are merged into classes.
      digest: hash of options and contents; the same for any number of workers.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], shards: Sequence[_Shard]) -> None:
        self.path = path
        self.manifest = manifest
        self.graph_config = from_dict(GraphConfig, manifest["graph"])
        self.units: dict[str, str] = dict(manifest["targets"])
        self.reduced: bool = manifest["reduced"]
        self.digest: str = manifest["digest"]
        self._shards = shards
        self._starts = np.cumsum([0] + [s.n_rows for s in shards])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} crystals, targets {sorted(self.units)})"

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all crystals, in store order."""
        return [i for shard in self._shards for i in shard.strings("id")]

    @cached_property
    def formulas(self) -> list[str]:
        """Reduced formulas, in store order."""
        return [f for shard in self._shards for f in shard.strings("formula")]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges of each."""
        return np.concatenate([_sizes(shard) for shard in self._shards])

    def column_of(self, target: str) -> str:
        """The column that holds a target: its own name, or the part before "@".

        Raises:
          TargetError: the store has no such target; the message lists those that it has.
        """
        for name in (target, target.split("@")[0]):
            if name in self.units:
                return name
        raise TargetError(
            f"{self.path}: no target {target!r}; it has {sorted(self.units) or 'none'}"
        )

    def target(self, name: str) -> np.ndarray:
        """(crystals,) float64 values of a target, per atom where extensive, NaN where unknown."""
        column = self.column_of(name)
        return np.concatenate([shard.target(column) for shard in self._shards])

    def unit(self, name: str) -> str:
        """Unit of a target, "" if unknown."""
        return self.units[self.column_of(name)]

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Row numbers of ids, in the given order.

        Raises:
          InputError: an id is not in the store.
        """
        place = {name: row for row, name in enumerate(self.ids)}
        missing = [i for i in ids if i not in place]
        if missing:
            raise InputError(f"{self.path}: {len(missing)} ids are not in the store: {missing[:5]}")
        return np.array([place[i] for i in ids], np.int64)

    def take(self, rows: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Graphs of the given rows, laid end to end in the given order. Vectorised per shard."""
        rows = np.asarray(rows, np.int64)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        present = np.unique(owner)
        columns = {name: self.column_of(name) for name in targets}
        pieces = [
            _take(self._shards[s], rows[owner == s] - self._starts[s], columns) for s in present
        ]
        if len(pieces) == 1:
            return pieces[0]
        merged = concatenate(pieces)
        place = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return reorder(merged, place)

    def graph(self, row: int) -> CrystalGraph:
        """One crystal's graph, with the map from sites to nodes."""
        shard_index = int(np.searchsorted(self._starts, row, side="right") - 1)
        shard, local = self._shards[shard_index], row - int(self._starts[shard_index])
        columns = {}
        for name in (*NODE_COLUMNS, *EDGE_COLUMNS, "site_class"):
            offsets, values = shard.ragged(name)
            columns[name] = values[offsets[local] : offsets[local + 1]]
        columns["node_multiplicity"] = columns["node_multiplicity"].astype(np.uint32)
        k = self.graph_config.max_neighbors
        return CrystalGraph(id=self.ids[row], max_neighbors=k, **columns)

    def split(
        self,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        *,
        by: str = "id",
        seed: int = 0,
        targets: Sequence[str] = (),
    ) -> tuple[Dataset, Dataset, Dataset]:
        """Training, validation and test sets.

        Args:
          fractions: their shares.
          by: "id", or "formula" to keep all polymorphs of a composition in one part.
          seed: of the fixed order.
          targets: keep only crystals for which at least one of these is known.
        """
        return self.apply(self.make_split(fractions, by=by, seed=seed, targets=targets))

    def make_split(
        self,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        *,
        by: str = "id",
        seed: int = 0,
        targets: Sequence[str] = (),
    ) -> Split:
        """The ids of `split`, to save or to change before `apply`."""
        if by not in ("id", "formula"):
            raise InputError(f"expected a split by 'id' or 'formula', got {by!r}")
        rows = np.arange(len(self))
        if targets:
            known = np.any([np.isfinite(self.target(t)) for t in targets], axis=0)
            rows = rows[known]
        if len(rows) == 0:
            raise TargetError(f"{self.path}: no crystal has a value for any of {list(targets)}")
        groups = [self.formulas[r] for r in rows] if by == "formula" else None
        return make_split([self.ids[r] for r in rows], groups, fractions=fractions, seed=seed)

    def apply(self, split: Split) -> tuple[Dataset, Dataset, Dataset]:
        """The three sets of a split of this store's ids."""
        train, valid, test = (
            Dataset(self, self.rows_of(part)) for part in (split.train, split.valid, split.test)
        )
        return train, valid, test

    def all(self) -> Dataset:
        """The whole store as a data set."""
        return Dataset(self, np.arange(len(self)))


def open_store(path: str | Path) -> Store:
    """Opens a store made by `build_store`.

    Raises:
      InputError: the folder is not a complete store, or was written by another format version.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        found = manifest["format"]
        if found != FORMAT:
            raise InputError(
                f"{path}: store format {found!r}, this version reads {FORMAT}; featurize again"
            )
        shards = [_open_shard(path / s["file"], s["n"]) for s in manifest["shards"]]
        return Store(path, manifest, shards)
    except CgatjaxError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a store folder with {MANIFEST}, made by `cgatjax featurize`: "
            f"{error!r}"
        ) from error


def _open_shard(path: Path, n_rows: int) -> _Shard:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: damaged or missing shard: {error}; featurize again") from error
    if table.num_rows != n_rows:
        raise InputError(f"{path}: expected {n_rows} crystals, found {table.num_rows}")
    return _Shard(n_rows, table)


def _sizes(shard: _Shard) -> np.ndarray:
    offsets, elements = shard.columns["atomic_numbers"]
    owner = np.repeat(np.arange(shard.n_rows), np.diff(offsets))
    pairs = np.unique(owner * 256 + elements)
    distinct = np.bincount(pairs // 256, minlength=shard.n_rows)
    edges = np.diff(shard.columns["edge_center"][0])
    return np.stack([np.diff(offsets), edges, distinct, distinct * (distinct - 1)], 1)


def _take(shard: _Shard, rows: np.ndarray, targets: Mapping[str, str]) -> GraphArrays:
    """Graphs of some rows of one shard."""
    flat: dict[str, np.ndarray] = {}
    counts: dict[str, np.ndarray] = {}
    for key, names in (("n_node", NODE_COLUMNS), ("n_edge", EDGE_COLUMNS)):
        offsets = shard.columns[names[0]][0]
        lengths = offsets[rows + 1] - offsets[rows]
        counts[key] = lengths
        where = ranges(offsets[rows], lengths)
        flat |= {name: shard.columns[name][1][where] for name in names}
    values = {name: shard.target(column)[rows] for name, column in targets.items()}
    return GraphArrays(**counts, **flat, targets=values)
