"""Data sets: rows of a store, rows of several stores, or graphs in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import MismatchError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import GraphArrays, concatenate, reorder
from cgatjax.structures.elements import reduced_formula


class Crystals(Protocol):
    """Interface of data sets to training and inference."""

    def __len__(self) -> int: ...

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals."""

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4): nodes, edges, composition nodes, composition edges."""

    @property
    def graph_config(self) -> GraphConfig:
        """Graph options of all crystals."""

    @property
    def digest(self) -> str:
        """Hash of the stores of the crystals."""

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""

    def take(self, positions: np.ndarray, /, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at the given positions, with the named targets."""


class GraphStore(Crystals, Protocol):
    """Interface of stores to `Dataset`; positions are row numbers."""

    def strings(self, column: str, rows: np.ndarray) -> list[str]:
        """Return the column "id" or "formula" at the given rows."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a store, in a fixed order.

    Attributes:
      store: the store.
      rows: (crystals,) int64 row numbers.
      only: targets visible in these rows; None for all. In joint training two stores have a
        column of the same name, and each trains one head.
    """

    store: GraphStore
    rows: np.ndarray
    only: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals; not cached (70 MB for a million)."""
        return self.store.strings("id", self.rows)

    @property
    def formulas(self) -> list[str]:
        """Reduced formulas of the crystals; not cached."""
        return self.store.strings("formula", self.rows)

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges."""
        return self.store.sizes[self.rows]

    @property
    def graph_config(self) -> GraphConfig:
        """Graph options of all crystals."""
        return self.store.graph_config

    @property
    def digest(self) -> str:
        """Hash of the store."""
        return self.store.digest

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""
        if self.only is not None and name not in self.only:
            return np.full(len(self), np.nan)
        return self.store.target(name)[self.rows]

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""
        return self.store.unit(name)

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at positions within this data set, with the named targets."""
        known = [t for t in targets if self.only is None or t in self.only]
        arrays = self.store.take(self.rows[positions], known)
        if len(known) == len(targets):
            return arrays
        unknown = np.full(len(positions), np.nan)
        values = {t: arrays.targets.get(t, unknown) for t in targets}
        return dataclasses.replace(arrays, targets=values)

    def select(self, keep: np.ndarray) -> "Dataset":
        """Return the crystals at the given positions, or where a mask of this length is True."""
        return dataclasses.replace(self, rows=self.rows[keep])

    def restrict_targets(self, *targets: str) -> "Dataset":
        """Return the same rows with all other targets hidden."""
        return dataclasses.replace(self, only=targets)

    def with_targets(self, *targets: str) -> "Dataset":
        """Return the crystals with a value of at least one of these targets."""
        return self.select(np.any([np.isfinite(self.target(t)) for t in targets], axis=0))


class ConcatDataset:
    """Data sets of several stores as one, for joint training.

    Attributes:
      datasets: the data sets, in order.

    Raises:
      MismatchError: the stores have different graph options.
    """

    def __init__(self, *datasets: Dataset) -> None:
        configs = {d.graph_config for d in datasets}
        if len(configs) != 1:
            raise MismatchError(
                f"expected stores with equal graph options, got {sorted(map(str, configs))}"
            )
        self.datasets = datasets
        self._starts = np.cumsum([0] + [len(d) for d in datasets])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals of one data set after another."""
        return [i for data in self.datasets for i in data.ids]

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges."""
        return np.concatenate([data.sizes for data in self.datasets])

    @property
    def graph_config(self) -> GraphConfig:
        """Graph options of all crystals."""
        return self.datasets[0].graph_config

    @property
    def digest(self) -> str:
        """Hashes of the stores, joined by "+"."""
        return "+".join(data.digest for data in self.datasets)

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown or hidden."""
        return np.concatenate([data.target(name) for data in self.datasets])

    def unit(self, name: str) -> str:
        """Return the unit of a target in the first data set where it is visible."""
        visible = [d for d in self.datasets if d.only is None or name in d.only]
        return (visible or list(self.datasets))[0].unit(name)

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at positions, in their order, with the named targets."""
        owner = np.searchsorted(self._starts, positions, side="right") - 1
        pieces = [
            self.datasets[k].take(positions[owner == k] - self._starts[k], targets)
            for k in np.unique(owner)
        ]
        if len(pieces) == 1:
            return pieces[0]
        # The inverse of the stable sort by owner brings the pieces back into the given order.
        place = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return reorder(concatenate(pieces), place)


class GraphList:
    """Data set of graphs in memory, with or without targets."""

    def __init__(
        self,
        graphs: Sequence[CrystalGraph],
        graph_config: GraphConfig,
        targets: Mapping[str, np.ndarray] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Store the graphs.

        Args:
          graphs: graphs, reduced or not.
          graph_config: graph options of all graphs.
          targets: name -> (graphs,) values, NaN where unknown.
          units: name -> unit, where known.
        """
        self.graphs = list(graphs)
        self.graph_config = graph_config
        self._targets, self._units = dict(targets or {}), dict(units or {})

    def __len__(self) -> int:
        return len(self.graphs)

    @property
    def ids(self) -> list[str]:
        """Ids of the graphs."""
        return [graph.id for graph in self.graphs]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges."""
        distinct = [len(set(g.atomic_numbers.tolist())) for g in self.graphs]
        rows = [
            (g.n_nodes, g.n_edges, d, d * (d - 1))
            for g, d in zip(self.graphs, distinct, strict=True)
        ]
        return np.array(rows, np.int64).reshape(-1, 4)

    @property
    def digest(self) -> str:
        """Empty: graphs in memory have no hash."""
        return ""

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""
        return self._targets.get(name, np.full(len(self), np.nan))

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""
        return self._units.get(name, "")

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at positions, end to end, with the named targets."""
        chosen = [self.graphs[p] for p in positions]
        values = {t: self.target(t)[positions].tolist() for t in targets}
        return GraphArrays.from_graphs(chosen, values)

    def strings(self, column: str, rows: np.ndarray) -> list[str]:
        """Return the column "id" or "formula" at the given rows."""
        chosen = [self.graphs[row] for row in rows]
        if column == "id":
            return [graph.id for graph in chosen]
        return [
            reduced_formula(np.repeat(g.atomic_numbers, g.node_multiplicity).tolist())
            for g in chosen
        ]
