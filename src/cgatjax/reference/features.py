"""Feature files of the reference (`prepare_data.py`, `*.pickle.gz`).

The files are untrusted pickles; `cgatjax.reference.pickles` reads them without running code.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.data.store import Store
from cgatjax.data.store_writer import store_graphs
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.reference.pickles import unpickled
from cgatjax.runtime import reading
from cgatjax.structures import atomic_number
from cgatjax.structures.formats import decompressed

MISSING_BELOW = -1e7
"""Threshold for missing values: the reference writes -1e8 for them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """Content of a feature file.

    Attributes:
      graphs: unreduced graph of each crystal, made by the reference; "unknown" ids are replaced by
        positions.
      targets: name -> (crystals,) float64, per atom, NaN if missing.
    """

    graphs: list[CrystalGraph]
    targets: dict[str, np.ndarray]

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals."""
        return [graph.id for graph in self.graphs]


def read_features(path: str | Path, *, max_neighbors: int | None = None) -> Features:
    """Read a feature file of the reference.

    The file has every property divided by the number of sites once more; this is undone here, so
    that targets are per atom. (The reference does not undo it for "volume": its networks learn
    V/N^2, whereas targets here are V/N in A^3/atom.)

    Args:
      path: pickle, optionally compressed by gzip.
      max_neighbors: number of neighbors to keep per site (`--max-nbr` of the reference); None for
        all.

    Raises:
      InputError: the file is damaged, refers to anything but NumPy arrays and plain containers, or
        does not have the format of `prepare_data.py`.
    """
    content = _unpickled(Path(path))
    try:
        shells, centers, neighbors = _inputs(content["input"])
        graphs = [
            _graph(i, content, shells[i], centers[i], neighbors[i], max_neighbors)
            for i in range(len(shells))
        ]
        targets = {str(n): _target(n, v, graphs) for n, v in content["target"].items()}
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{path}: expected the dictionary of prepare_data.py with 'input', 'batch_ids', "
            f"'batch_comp', 'target' and 'comps': {error!s:.300}"
        ) from error
    return Features(graphs=graphs, targets=targets)


def store_features(
    path: str | Path,
    out: str | Path,
    *,
    max_neighbors: int | None = None,
    units: Mapping[str, str] | None = None,
    reduce: bool = True,
) -> Store:
    """Convert a feature file of the reference to a store.

    Args:
      path: the feature file.
      out: folder to create.
      max_neighbors: as of `read_features`.
      units: units of targets that are not known by name.
      reduce: merge equivalent sites and edges.

    Raises:
      RunExistsError: `out` exists.
      InputError: see `read_features`; or a repeated id.
    """
    found = read_features(path, max_neighbors=max_neighbors)
    if not found.graphs:
        raise InputError(f"{path}: expected at least one crystal, got none")
    config = GraphConfig.released(max_neighbors=found.graphs[0].max_neighbors)
    rows = [{n: float(v[i]) for n, v in found.targets.items()} for i in range(len(found.graphs))]
    pairs = zip(found.graphs, rows, strict=True)
    return store_graphs(pairs, out, config, units=units, reduce=reduce)


def _unpickled(path: Path) -> Mapping[str, Any]:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: expected a regular file, not a folder, pipe or device")
    with reading(path, "a feature file"):
        with open(path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        content = unpickled(decompressed(path, gzip.open) if compressed else path.read_bytes())
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dictionary, got {type(content).__name__}")
    return content


def _inputs(table: np.ndarray) -> tuple[Any, Any, Any]:
    """Return shells, centers and neighbors of each crystal, from either layout of the table."""
    table = np.asarray(table, dtype=object)
    if table.ndim < 2 or 3 not in table.shape[:2]:
        raise ValueError(f"'input' is ragged or has shape {table.shape}, not (3, crystals)")
    if table.shape[0] != 3:
        table = np.moveaxis(table, 1, 0)
    return table[0], table[1], table[2]


def _graph(
    i: int,
    content: Mapping[str, Any],
    shells: np.ndarray,
    centers: np.ndarray,
    neighbors: np.ndarray,
    max_neighbors: int | None,
) -> CrystalGraph:
    id = str(_single(content["batch_ids"][i]))
    id = f"crystal-{i}" if id == "unknown" else id
    numbers = np.array([atomic_number(symbol) for symbol in _symbols(content, i)])
    shells, centers, neighbors = (
        np.asarray(a).astype(np.int64).reshape(len(numbers), -1)[:, :max_neighbors]
        for a in (shells, centers, neighbors)
    )
    if (centers != np.arange(len(numbers))[:, None]).any():
        raise ValueError(f"{id!r}: the centers of its edges are not its sites in order")
    return CrystalGraph.from_neighbors(numbers, neighbors, shells, id=id)


def _symbols(content: Mapping[str, Any], i: int) -> list[str]:
    """Return the element of each site; old files have a string, and elements in the formula."""
    sites = content["comps"][i]
    if isinstance(sites, str):
        formula = str(_single(content["batch_comp"][i]))
        found = re.findall(r"([A-Za-z]+)(\d+)", formula)
        return [symbol for symbol, count in found for _ in range(int(count))]
    return [str(_single(site)) for site in sites]


def _single(value: Any) -> Any:
    """Unwrap nested containers of length one."""
    while isinstance(value, list | tuple | np.ndarray) and np.ndim(value) > 0:
        if len(value) != 1:
            raise ValueError(f"expected one value, got {len(value)}")
        value = value[0]
    return value


def _target(name: str, values: Any, graphs: list[CrystalGraph]) -> np.ndarray:
    stored = np.asarray(values, dtype=np.float64).reshape(-1)
    if len(stored) != len(graphs):
        raise ValueError(f"target {name!r} has {len(stored)} values for {len(graphs)} crystals")
    sites = np.array([graph.n_sites for graph in graphs])
    missing = ~np.isfinite(stored) | (stored < MISSING_BELOW)
    with np.errstate(over="ignore", invalid="ignore"):
        total = stored * sites
    return np.where(missing | ~np.isfinite(total), np.nan, total)
