"""Shard of a store: an Arrow IPC file with one record batch, memory-mapped and read-only.

Opening a shard reads its schema. Rows are read from disk on access, and the operating system drops
them when memory is short.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import EDGE_COLUMNS, NODE_COLUMNS
from cgatjax.graphs.graph_arrays import GraphArrays, ranges
from cgatjax.runtime import sha256_of
from cgatjax.structures import SYMBOLS

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

DAMAGED = "damaged; check the store with `cgatjax info STORE --verify`"


class Shard:
    """Memory-mapped shard: the rows of a file as `table`."""

    def __init__(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Open a file and compare it with its entry in the manifest; only `verify` checks the
        SHA-256.

        InputError if it is missing, of another size, or no table of graphs.
        """
        self.path, self._entry = path, entry
        self._targets: dict[str, np.ndarray] = {}
        expected = entry["n"], entry["bytes"]
        try:
            size = path.stat().st_size
            if size != expected[1]:
                raise InputError(
                    f"{path}: damaged or missing shard: expected {expected[1]} bytes, found {size}"
                )
            self.table = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
            self.table.validate(full=True)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path}: damaged or missing shard: {error}") from error
        if self.table.num_rows != expected[0]:
            raise InputError(
                f"{path}: expected {expected[0]} crystals, found {self.table.num_rows}"
            )
        for name, kind in GRAPH_FIELDS.items():
            found = self.table.schema.field(name).type if name in self.table.schema.names else None
            if found != kind:
                raise InputError(f"{path}: column {name!r}: expected {kind}, found {found}")

    def __len__(self) -> int:
        return self.table.num_rows

    def verify(self) -> None:
        """Read the whole file and compare its SHA-256 with the manifest's, or raise InputError."""
        found = sha256_of(self.path)
        if found != self._entry["sha256"]:
            raise InputError(
                f"{self.path}: damaged shard: expected SHA-256 {self._entry['sha256']}, "
                f"found {found}; copy the file again or featurize again"
            )

    def ragged(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (rows + 1,) int32 offsets and the values of a list column, without copying."""
        column = self.table.column(name)
        offsets = column.offsets.to_numpy(zero_copy_only=True)
        return offsets, column.values.to_numpy(zero_copy_only=True)

    def target(self, name: str) -> np.ndarray:
        """Return (rows,) float64 values of a target, NaN where unknown; read-only."""
        if name not in self._targets:
            if name in self.table.schema.names:
                values = self.table.column(name).to_numpy(zero_copy_only=False)
            else:
                values = np.broadcast_to(np.nan, len(self))
            self._targets[name] = values
        return self._targets[name]

    def strings(self, name: str) -> pa.StringArray:
        """Return the column "id" or "formula"."""
        return self.table.column(name)

    def sizes(self) -> np.ndarray:
        """Return (rows, 4) int64: nodes, edges, composition nodes, composition edges."""
        offsets, elements = self._columns["atomic_numbers"]
        nodes = np.diff(offsets).astype(np.int64)
        if nodes.sum() != len(elements) or elements.max(initial=0) >= len(SYMBOLS):
            raise InputError(f"{self.path}: {DAMAGED}")
        present = np.zeros((len(self), len(SYMBOLS)), bool)
        present[np.repeat(np.arange(len(self)), nodes), elements] = True
        distinct = np.count_nonzero(present, axis=1)
        edges = np.diff(self._columns["edge_center"][0])
        return np.stack([nodes, edges, distinct, distinct * (distinct - 1)], 1)

    def take(self, rows: np.ndarray, targets: Mapping[str, str]) -> GraphArrays:
        """Return the graphs of (n,) rows, end to end, not validated (see `is_sound`).

        `targets` are name in the result -> column. InputError if the lengths of the columns do not
        fit.
        """
        flat: dict[str, np.ndarray] = {}
        counts: dict[str, np.ndarray] = {}
        for key, names in (("n_node", NODE_COLUMNS), ("n_edge", EDGE_COLUMNS)):
            offsets = self._columns[names[0]][0]
            starts = offsets[rows].astype(np.int64)
            counts[key] = offsets[rows + 1] - starts
            where = ranges(starts, counts[key])
            try:
                for name in names:
                    flat[name] = self._columns[name][1][where]
            except IndexError as error:
                raise InputError(f"{self.path}: {DAMAGED}: {error}") from error
        values = {name: self.target(column)[rows] for name, column in targets.items()}
        return GraphArrays(**counts, **flat, targets=values)

    @cached_property
    def _columns(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {name: self.ragged(name) for name in (*NODE_COLUMNS, *EDGE_COLUMNS)}


def is_sound(arrays: GraphArrays) -> bool:
    """True if elements exist, edges join nodes of their graph, and weights are positive.

    Guards the network against files whose bytes have changed: jax clamps an index out
    of range without an error.
    """
    positive = all(
        getattr(arrays, name).min(initial=1) > 0 for name in (*NODE_COLUMNS, *EDGE_COLUMNS[2:])
    )
    nodes = np.repeat(arrays.n_node.astype(np.int32), arrays.n_edge)
    ends = np.maximum(arrays.edge_center, arrays.edge_neighbor)
    known = arrays.atomic_numbers.max(initial=0) < len(SYMBOLS)
    return bool(positive and known and (ends < nodes).all())
