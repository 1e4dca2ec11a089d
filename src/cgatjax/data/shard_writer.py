"""Write graphs and properties as Arrow rows, and rows as the shards of a store."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cgatjax.data.shard_reader import GRAPH_FIELDS
from cgatjax.errors import TargetError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.runtime import write_durably
from cgatjax.structures import reduced_formula

SHARD = 16384
"""Number of crystals in a shard."""
SHARDS = "shards"
"""Folder of the shards in a store."""


def rows_of(done: Sequence[tuple[CrystalGraph, Mapping[str, float]]]) -> pa.RecordBatch:
    """Convert graphs and their properties to Arrow rows.

    TargetError if a property has the name of a column that holds the graph.
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


@dataclass(frozen=True, kw_only=True)
class FinishedShard:
    """Description of a shard on disk: file, sizes, and sums over its graphs.

    Attributes:
      targets: targets with a value in some row.
      crystals: hash of the crystals' digests, "" if none were given.
    """

    file: str
    n: int
    bytes: int
    sha256: str
    sites: int
    nodes: int
    edges: int
    targets: tuple[str, ...]
    crystals: str

    @property
    def entry(self) -> dict[str, Any]:
        """Entry in the manifest of the store."""
        return {"file": self.file, "n": self.n, "bytes": self.bytes, "sha256": self.sha256}


class ShardWriter:
    """Writer of shards of `SHARD` crystals below the folder `out`, which becomes the store.

    The bytes of a shard depend on its crystals alone, not on how they were grouped when added.
    """

    def __init__(self, out: Path, finished: Sequence[FinishedShard] = ()) -> None:
        """Continue after the finished shards."""
        self.out = out
        self.shards = list(finished)
        self._pending: list[pa.Table] = []
        self._digests: list[bytes] = []
        self._n_pending = 0

    @property
    def n_rows(self) -> int:
        """Number of crystals in the shards."""
        return sum(shard.n for shard in self.shards)

    @property
    def known(self) -> set[str]:
        """Targets with a value in some row."""
        return {name for shard in self.shards for name in shard.targets}

    def add(self, batch: pa.RecordBatch, digests: Sequence[bytes] = ()) -> list[FinishedShard]:
        """Add rows, with the `crystal_digest` of each or none; write and return completed
        shards.
        """
        self._pending.append(pa.Table.from_batches([batch]))
        self._digests += digests
        self._n_pending += batch.num_rows
        return [self._write(SHARD) for _ in range(self._n_pending // SHARD)]

    def close(self) -> None:
        """Write the remaining rows as the last shard."""
        if self._n_pending:
            self._write(self._n_pending)

    def _write(self, n: int) -> FinishedShard:
        table = pa.concat_tables(self._pending, promote_options="default")
        self._pending, self._n_pending = [table.slice(n)], len(table) - n
        digests, self._digests = self._digests[:n], self._digests[n:]
        rows = _canonical(table.slice(0, n))
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, rows.schema) as stream:
            stream.write_batch(rows)
        data = buffer.getvalue()
        file = f"{SHARDS}/{len(self.shards):05d}.arrow"
        write_durably(self.out / file, data)
        shard = FinishedShard(
            file=file,
            n=n,
            bytes=data.size,
            sha256=hashlib.sha256(data).hexdigest(),
            sites=len(rows.column("site_class").values),
            nodes=len(rows.column("atomic_numbers").values),
            edges=len(rows.column("edge_center").values),
            targets=tuple(name for name in rows.schema.names if name not in GRAPH_FIELDS),
            crystals=hashlib.sha256(b"".join(digests)).hexdigest() if digests else "",
        )
        self.shards.append(shard)
        return shard


def _canonical(table: pa.Table) -> pa.RecordBatch:
    """Copy rows into new buffers: graph columns, then targets with values, by name."""
    # Slices keep the buffers of their chunks, `take` makes new ones. Rows added before the first
    # value of a target have no column of it, so a column without any value is left out. Otherwise
    # the bytes of a shard would depend on how its rows were grouped.
    rows = table.combine_chunks().to_batches()[0].take(pa.array(np.arange(len(table))))
    columns = {name: rows.column(name) for name in GRAPH_FIELDS}
    for name in sorted(set(rows.schema.names) - set(GRAPH_FIELDS)):
        values = rows.column(name).to_numpy(zero_copy_only=False)
        if not np.isnan(values).all():
            columns[name] = pa.array(values, from_pandas=True)
    return pa.RecordBatch.from_pydict(columns)
