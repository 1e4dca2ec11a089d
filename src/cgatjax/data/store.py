"""Store of featurized crystals in memory-mapped Arrow IPC shards.

A store is a folder: `store.json` (options, targets with units, shards, counts), `shards/*.arrow`
and `skipped.csv`. A row holds a crystal's id, formula, graph and targets; the files open in
pandas, polars or DuckDB. `build` and `store_writer` write stores, this module reads them.

An open store caches sizes (32 bytes a crystal) and used targets (8 bytes a crystal each), but no
ids and formulas.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cgatjax.config import GraphConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.shard_reader import DAMAGED, Shard, is_sound
from cgatjax.data.splits import SUBSETS, Split, split_positions
from cgatjax.errors import InputError, TargetError
from cgatjax.graphs.crystal_graph import EDGE_COLUMNS, NODE_COLUMNS, CrystalGraph
from cgatjax.graphs.graph_arrays import (
    GraphArrays,
    concatenate,
    reorder,
)
from cgatjax.graphs.hashes import hashes_of
from cgatjax.options import from_dict
from cgatjax.runtime import reading

if TYPE_CHECKING:
    from pandas import DataFrame

MANIFEST = "store.json"
SKIPPED = "skipped.csv"
BUILD_LOG = "unfinished.jsonl"
"""Log of a build; its absence and a manifest make the folder a store."""
FORMAT = 1


class Store:
    """Featurized data set on disk, opened read-only with `open_store`.

    Attributes:
      path: the folder.
      manifest: content of `store.json`.
      graph_config: graph options of all rows.
      units: target name -> unit, "" where unknown.
      origins: target name -> calculator that computed it, where known.
      reduced: True if sites are merged into classes.
      digest: hash of options and contents; does not depend on the number of workers.
      shards: the memory-mapped files.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], shards: Sequence[Shard]) -> None:
        self.path = path
        self.manifest = manifest
        self.graph_config = from_dict(GraphConfig, manifest["graph"])
        self.units: dict[str, str] = dict(manifest["targets"])
        self.origins: dict[str, str] = dict(manifest.get("origins", {}))
        self.reduced: bool = manifest["reduced"]
        self.digest: str = manifest["digest"]
        self.shards = shards
        self._starts = np.cumsum([0] + [len(s) for s in shards])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self)} crystals, targets {sorted(self.units)})"

    def __getitem__(self, key: Any) -> Any:
        """Return a graph or a data set by position, id, slice, ..., as `Dataset` does."""
        return self.all()[key]

    def to_frame(self) -> "DataFrame":
        """Return id, formula and targets as a data frame."""
        return self.all().to_frame()

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets; `target` has their values, `units` their units."""
        return tuple(self.units)

    @property
    def ids(self) -> list[str]:
        """Ids of all crystals, in store order; not cached (70 MB for a million)."""
        return self.strings("id")

    @property
    def formulas(self) -> list[str]:
        """Reduced formulas, in store order; not cached."""
        return self.strings("formula")

    def strings(self, column: str, rows: np.ndarray | None = None) -> list[str]:
        """Return the column "id" or "formula" at the given rows, None for all."""
        whole = self._column(column)
        return (whole if rows is None else whole.take(pa.array(rows, pa.int64()))).to_pylist()

    def hashes(self, by: str = "graph", rows: np.ndarray | None = None) -> np.ndarray:
        """Compute (rows,) uint64 hashes of the graphs; not cached (10 to 40 us each).

        Args:
          by: "graph" for equal crystals, or "prototype" for equal structure types; see
            `cgatjax.graphs.hashes` for the dependence on graph options.
          rows: row numbers, None for all.

        Raises:
          InputError: another `by`.
        """
        if by not in ("graph", "prototype"):
            raise InputError(f"expected hashes by 'graph' or 'prototype', got {by!r}")
        chosen = np.arange(len(self)) if rows is None else rows
        return hashes_of(
            lambda positions: self.take(chosen[positions]),
            len(chosen),
            with_elements=by == "graph",
            reduced=self.reduced,
        )

    @cached_property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges."""
        return np.concatenate([shard.sizes() for shard in self.shards])

    def column_of(self, target: str) -> str:
        """Return the column of a target: its own name, or the name before "@".

        Raises:
          TargetError: the store has no such target; the message lists its targets.
        """
        for name in (target, target.split("@")[0]):
            if name in self.units:
                return name
        raise TargetError(
            f"{self.path}: no target {target!r}; it has {sorted(self.units) or 'none'}"
        )

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""
        column = self.column_of(name)
        return np.concatenate([shard.target(column) for shard in self.shards])

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""
        return self.units[self.column_of(name)]

    def origin(self, name: str) -> str:
        """Return the calculator that computed a target, "" if unknown."""
        return self.origins.get(self.column_of(name), "")

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return (ids,) int64 row numbers of ids, in the given order.

        Raises:
          InputError: an id is not in the store.
        """
        try:
            wanted = pa.array(ids, pa.string())
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.path}: expected ids that are text: {error}") from error
        rows = pc.index_in(wanted, value_set=self._column("id"))
        if rows.null_count:
            missing = wanted.filter(rows.is_null()).to_pylist()
            raise InputError(f"{self.path}: {len(missing)} ids are not in the store: {missing[:5]}")
        return rows.to_numpy().astype(np.int64)

    def take(self, rows: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs of the given rows, end to end in the given order.

        Raises:
          TargetError: the store has no such target.
          InputError: a shard is damaged.
        """
        rows = np.asarray(rows, np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise InputError(f"{self.path}: expected rows in 0..{len(self) - 1}, got {rows}")
        arrays = self._take(rows, {name: self.column_of(name) for name in targets})
        if not is_sound(arrays):
            raise InputError(f"{self.path}: {DAMAGED}")
        return arrays

    def graph(self, row: int) -> CrystalGraph:
        """Return the graph of one row, with the map from sites to nodes."""
        shard_index = int(np.searchsorted(self._starts, row, side="right") - 1)
        shard, local = self.shards[shard_index], row - int(self._starts[shard_index])
        columns = {}
        for name in (*NODE_COLUMNS, *EDGE_COLUMNS, "site_class"):
            offsets, values = shard.ragged(name)
            columns[name] = values[offsets[local] : offsets[local + 1]]
        columns["node_multiplicity"] = columns["node_multiplicity"].astype(np.uint32)
        name = shard.strings("id")[local].as_py()
        return CrystalGraph(id=name, max_neighbors=self.graph_config.max_neighbors, **columns)

    def split(
        self,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        *,
        by: str = "id",
        seed: int = 0,
        targets: Sequence[str] = (),
    ) -> tuple[Dataset, Dataset, Dataset]:
        """Split into training, validation and test set.

        Args:
          fractions: shares of the three sets.
          by: "id"; "formula" to keep all polymorphs of a composition in one subset; or "prototype"
            to keep all decorations of a structure type in one subset (see `hashes`).
          seed: seed of the order.
          targets: use only crystals with a value of at least one of these targets.
        """
        subsets = self._split_rows(fractions, by, seed, targets)
        train, valid, test = (Dataset(self, rows) for rows in subsets)
        return train, valid, test

    def make_split(
        self,
        fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
        *,
        by: str = "id",
        seed: int = 0,
        targets: Sequence[str] = (),
    ) -> Split:
        """Return the ids of `split`, to save or change before `apply`."""
        subsets = self._split_rows(fractions, by, seed, targets)
        named = (tuple(self.strings("id", rows)) for rows in subsets)
        return Split(**dict(zip(SUBSETS, named, strict=True)))

    def apply(self, split: Split) -> tuple[Dataset, Dataset, Dataset]:
        """Return the three sets of a split of this store's ids."""
        rows = self.rows_of((*split.train, *split.valid, *split.test))
        cuts = np.cumsum([len(split.train), len(split.valid)])
        train, valid, test = (Dataset(self, chosen) for chosen in np.split(rows, cuts))
        return train, valid, test

    def all(self) -> Dataset:
        """Return the whole store as a data set."""
        return Dataset(self, np.arange(len(self)))

    def verify(self) -> None:
        """Read every shard and compare it with its hash in the manifest.

        Raises:
          InputError: a shard is damaged, or the manifest is that of other shards.
        """
        for shard in self.shards:
            shard.verify()
        expected = digest_of(self.graph_config, self.reduced, self.manifest["shards"])
        if self.digest != expected:
            raise InputError(
                f"{self.path / MANIFEST}: expected the digest {expected} of its options and "
                f"shards, found {self.digest}; featurize again"
            )

    def _take(self, rows: np.ndarray, columns: Mapping[str, str]) -> GraphArrays:
        if len(self.shards) == 1 or len(rows) == 0:
            return self.shards[0].take(rows, columns)
        # Ascending rows read each shard once and in the order of the disk; then undo the sorting.
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        bounds = np.searchsorted(ascending, self._starts)
        pieces = [
            shard.take(ascending[low:high] - start, columns)
            for shard, start, low, high in zip(
                self.shards, self._starts, bounds, bounds[1:], strict=False
            )
            if high > low
        ]
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows))
        return reorder(concatenate(pieces), place)

    def _column(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array([shard.strings(name) for shard in self.shards], pa.string())

    def _split_rows(
        self, fractions: tuple[float, float, float], by: str, seed: int, targets: Sequence[str]
    ) -> list[np.ndarray]:
        if by not in ("id", "formula", "prototype"):
            raise InputError(f"expected a split by 'id', 'formula' or 'prototype', got {by!r}")
        rows = np.arange(len(self))
        if targets:
            known = np.any([np.isfinite(self.target(t)) for t in targets], axis=0)
            rows = rows[known]
        if len(rows) == 0:
            raise TargetError(f"{self.path}: no crystal has a value for any of {list(targets)}")
        groups = None
        if by == "formula":
            groups = self.strings("formula", rows)
        elif by == "prototype":
            groups = [f"{h:016x}" for h in self.hashes("prototype", rows).tolist()]
        ids = self.strings("id", rows)
        return [rows[p] for p in split_positions(ids, groups, fractions=fractions, seed=seed)]


def open_store(path: str | Path, *, verify: bool = False) -> Store:
    """Open a store made by `build_store`.

    Args:
      path: the folder.
      verify: read every shard and compare its SHA-256, some seconds per GB; otherwise only the
        sizes of the files are compared.

    Raises:
      InputError: the folder is not a complete store, is damaged, or has another format version.
    """
    path = Path(path)
    with reading(path, "a store", "featurize again"):
        if not (path / MANIFEST).exists():
            if (path / BUILD_LOG).exists():
                raise InputError(
                    "the store is not finished; resume with `cgatjax featurize ... --resume` (the "
                    "same inputs and options), or build_store(..., resume=True)"
                )
            found = "it has none" if path.is_dir() else "that is a file"
            found = found if path.exists() else "there is no such folder"
            raise InputError(
                f"expected a store folder with {MANIFEST}, made by `cgatjax featurize`; {found}"
            )
        manifest = json.loads((path / MANIFEST).read_text())
        if (found := manifest["format"]) != FORMAT:
            raise InputError(
                f"store format {found!r}, this version reads {FORMAT}; featurize again"
            )
        shards = [Shard(path / s["file"], s) for s in manifest["shards"]]
        if not shards:
            raise ValueError("its list of shards is empty")
        store = Store(path, manifest, shards)
    if verify:
        store.verify()
    return store


def digest_of(config: GraphConfig, reduced: bool, shards: Sequence[Mapping[str, Any]]) -> str:
    """Hash the graph options and the contents of the shards."""
    text = json.dumps([config.digest(), reduced, [s["sha256"] for s in shards]])
    return hashlib.sha256(text.encode()).hexdigest()
