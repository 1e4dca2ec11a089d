"""The files of a store: graphs and properties as Arrow rows, rows as shards."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cgatjax.data.elements import reduced_formula
from cgatjax.data.graphs import CrystalGraph
from cgatjax.data.mapped import GRAPH_FIELDS
from cgatjax.errors import TargetError

SHARD = 16384
"""Crystals in a shard."""


def rows_of(done: Sequence[tuple[CrystalGraph, Mapping[str, float]]]) -> pa.RecordBatch:
    """Arrow rows of graphs and their properties.

    Raises:
      TargetError: a property has the name of a column that holds the graph.
    """
    formulas = [reduced_formula(g.atomic_numbers, g.node_multiplicity) for g, _ in done]
    columns: dict[str, pa.Array] = {
        "id": pa.array([g.id for g, _ in done], pa.string()),
        "formula": pa.array(formulas, pa.string()),
    }
    for name, kind in list(GRAPH_FIELDS.items())[2:]:
        parts = [getattr(g, name) for g, _ in done]
        offsets = np.cumsum([0] + [len(p) for p in parts])
        dtype = kind.value_type.to_pandas_dtype()
        flat = np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype)
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat))
    for name in sorted({name for _, t in done for name in t}):
        if name in GRAPH_FIELDS:
            raise TargetError(
                f"a target cannot be named {name!r}: a column of the store has that name"
            )
        values = [t.get(name, np.nan) for _, t in done]
        columns[name] = pa.array(np.array(values, np.float64), from_pandas=True)
    return pa.RecordBatch.from_pydict(columns)


class ShardWriter:
    """Collects rows and writes them as shards of SHARD crystals.

    Attributes:
      out: the folder that becomes the store.
      n_rows: crystals added so far.
      known: targets of which some value is known.
      sites: counts of sites, nodes and edges so far.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.pending: list[pa.Table] = []
        self.n_pending = self.n_rows = 0
        self.known: set[str] = set()
        self.sites = {"sites": 0, "nodes": 0, "edges": 0}
        self.shards: list[dict[str, Any]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows; full shards are written at once."""
        self.pending.append(pa.Table.from_batches([batch]))
        self.n_pending += batch.num_rows
        self.n_rows += batch.num_rows
        for name in batch.schema.names:
            if name not in GRAPH_FIELDS and batch.column(name).null_count < batch.num_rows:
                self.known.add(name)
        for key, name in (
            ("sites", "site_class"),
            ("nodes", "atomic_numbers"),
            ("edges", "edge_center"),
        ):
            self.sites[key] += len(batch.column(name).values)
        while self.n_pending >= SHARD:
            self._flush(SHARD)

    def close(self) -> list[dict[str, Any]]:
        """Writes what is left; file, size and SHA-256 of every shard."""
        if self.n_pending:
            self._flush(self.n_pending)
        return self.shards

    def _flush(self, n: int) -> None:
        table = pa.concat_tables(self.pending, promote_options="default")
        self.pending, self.n_pending = [table.slice(n)], len(table) - n
        rows = table.slice(0, n).combine_chunks().to_batches()[0]
        rows = rows.take(pa.array(np.arange(n)))
        file = f"shards/{len(self.shards):05d}.arrow"
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, rows.schema) as stream:
            stream.write_batch(rows)
        data = buffer.getvalue().to_pybytes()
        (self.out / "shards").mkdir(parents=True, exist_ok=True)
        write_durably(self.out / file, data)
        digest = hashlib.sha256(data).hexdigest()
        self.shards.append({"file": file, "n": n, "bytes": len(data), "sha256": digest})


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file and waits until the disk has it."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
