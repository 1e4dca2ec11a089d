"""Write existing graphs or rows as a store."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa

from cgatjax.config import GraphConfig
from cgatjax.data.filters import COLUMNS
from cgatjax.data.shard_writer import ShardWriter, rows_of
from cgatjax.data.store import FORMAT, MANIFEST, SKIPPED, Store, digest_of, open_store
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.runtime import complete_folder, require_new, write_csv, write_durably
from cgatjax.structures import CELL_VOLUME, unit_of

CHUNK = 256
"""Graphs converted to rows at a time."""


def store_graphs(
    graphs: Iterable[tuple[CrystalGraph, Mapping[str, float]]],
    out: str | Path,
    config: GraphConfig,
    *,
    units: Mapping[str, str] | None = None,
    reduce: bool = True,
) -> Store:
    """Write pairs of a graph, not reduced, and its properties, NaN where unknown, into a new store.

    Raises:
      RunExistsError: `out` exists.
      InputError: no graphs, a repeated id, or a graph with another K than `config`.
    """
    pairs = _checked(graphs, config)
    chunks = iter(lambda: list(islice(pairs, CHUNK)), [])
    rows = (rows_of([(reduce_graph(g) if reduce else g, t) for g, t in c]) for c in chunks)
    return store_rows(rows, out, config, units=units, reduced=reduce)


def store_rows(
    batches: Iterable[pa.RecordBatch],
    out: str | Path,
    config: GraphConfig,
    *,
    units: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
    reduced: bool = True,
) -> Store:
    """Write rows of `shard_writer.rows_of`, with distinct ids (not checked), into a new store.

    Memory is constant. RunExistsError if `out` exists, InputError without rows.
    """
    out = Path(out)
    require_new(out)
    with complete_folder(out) as folder:
        writer = ShardWriter(folder)
        for batch in batches:
            writer.add(batch)
        writer.close()
        if writer.n_rows == 0:
            raise InputError("expected at least one crystal graph to store, got none")
        write_csv(folder / SKIPPED, [COLUMNS])
        known = {name: unit_for(name, units) for name in ordered(writer.known)}
        finish(writer, config, reduced, {}, known, origins)
    return open_store(out)


def finish(
    writer: ShardWriter,
    config: GraphConfig,
    reduced: bool,
    skipped: Mapping[str, int],
    units: Mapping[str, str],
    origins: Mapping[str, str] | None = None,
) -> None:
    """Write the manifest, which makes the folder of a closed writer with crystals a store.

    `skipped` counts the crystals in `skipped.csv` by kind.
    """
    entries = [shard.entry for shard in writer.shards]
    manifest = {
        "format": FORMAT,
        "graph": config.to_dict(),
        "reduced": reduced,
        "n": writer.n_rows,
        "n_error": skipped.get("error", 0),
        "n_filtered": skipped.get("filter", 0),
        "sites": {
            key: sum(getattr(shard, key) for shard in writer.shards)
            for key in ("sites", "nodes", "edges")
        },
        "targets": units,
        "origins": {name: origin for name, origin in (origins or {}).items() if origin},
        "shards": entries,
        "digest": digest_of(config, reduced, entries),
    }
    write_durably(writer.out / MANIFEST, json.dumps(manifest, indent=1).encode())


def ordered(names: Iterable[str]) -> list[str]:
    """Sort the properties of a store, that of every crystal last."""
    return sorted(names, key=lambda name: (name == CELL_VOLUME, name))


def unit_for(name: str, units: Mapping[str, str] | None) -> str:
    """Return the given unit of a target, or the one known by its name."""
    return (units or {}).get(name, unit_of(name))


def _checked(
    graphs: Iterable[tuple[CrystalGraph, Mapping[str, float]]], config: GraphConfig
) -> Iterator[tuple[CrystalGraph, Mapping[str, float]]]:
    """Yield the pairs; raise InputError at a repeated id or another K."""
    seen = set()
    for graph, targets in graphs:
        if graph.id in seen:
            raise InputError(f"repeated id {graph.id!r}; ids must be unique in a store")
        if graph.max_neighbors != config.max_neighbors:
            raise InputError(
                f"{graph.id!r}: expected K = {config.max_neighbors} as in the graph options, "
                f"got {graph.max_neighbors}"
            )
        seen.add(graph.id)
        yield graph, targets
