"""Data sets: some rows of a store, or of several stores trained on together."""

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
    """What training and inference need of a data set."""

    def __len__(self) -> int: ...

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals."""

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4): nodes, edges, composition nodes, composition edges."""

    @property
    def in_degree(self) -> int:
        """Edges of every site, where all sites of all crystals have as many; 0 where not."""

    @property
    def graph_config(self) -> GraphConfig:
        """The options that the graphs were made with."""

    @property
    def digest(self) -> str:
        """Hash of the contents that the rows come from."""

    def target(self, name: str) -> np.ndarray:
        """(crystals,) float64 values, NaN where unknown."""

    def unit(self, name: str) -> str:
        """Unit of a target."""

    def take(self, positions: np.ndarray, /, targets: Sequence[str] = ()) -> GraphArrays:
        """Graphs and targets at the given positions."""


class GraphStore(Crystals, Protocol):
    """What a data set needs of the store behind it; positions are its rows."""

    def strings(self, column: str, rows: np.ndarray) -> list[str]:
        """The column "id" or "formula" at the given rows."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Some rows of a store, in a fixed order.

    Attributes:
      store: where they are.
      rows: (crystals,) int64 row numbers.
      only: the targets that these rows may teach; None for all. In joint training two stores
        have a column of the same name, and each teaches one head.
    """

    store: GraphStore
    rows: np.ndarray
    only: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals; made anew each time (70 MB for a million)."""
        return self.store.strings("id", self.rows)

    @property
    def formulas(self) -> list[str]:
        """Reduced formulas of the crystals; made anew each time."""
        return self.store.strings("formula", self.rows)

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64: nodes, edges, composition nodes, composition edges."""
        return self.store.sizes[self.rows]

    @property
    def in_degree(self) -> int:
        """Edges of every site, where all have as many; 0 where not."""
        return self.store.in_degree

    @property
    def graph_config(self) -> GraphConfig:
        """The options that the graphs were made with."""
        return self.store.graph_config

    @property
    def digest(self) -> str:
        """Hash of the store."""
        return self.store.digest

    def target(self, name: str) -> np.ndarray:
        """(crystals,) float64, NaN where unknown."""
        if self.only is not None and name not in self.only:
            return np.full(len(self), np.nan)
        return self.store.target(name)[self.rows]

    def unit(self, name: str) -> str:
        """Unit of a target, "" if unknown."""
        return self.store.unit(name)

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Graphs at positions within this data set."""
        known = [t for t in targets if self.only is None or t in self.only]
        arrays = self.store.take(self.rows[positions], known)
        if len(known) == len(targets):
            return arrays
        unknown = np.full(len(positions), np.nan)
        values = {t: arrays.targets.get(t, unknown) for t in targets}
        return dataclasses.replace(arrays, targets=values)

    def select(self, keep: np.ndarray) -> "Dataset":
        """The crystals at the given positions, or where a mask of this length holds."""
        return dataclasses.replace(self, rows=self.rows[keep])

    def restrict_targets(self, *targets: str) -> "Dataset":
        """The same rows, teaching only these targets."""
        return dataclasses.replace(self, only=targets)

    def with_targets(self, *targets: str) -> "Dataset":
        """The crystals for which at least one of these targets is known."""
        return self.select(np.any([np.isfinite(self.target(t)) for t in targets], axis=0))


class ConcatDataset:
    """Data sets of several stores as one, for joint training.

    Raises:
      MismatchError: the stores were made with different graph options.
    """

    def __init__(self, *parts: Dataset) -> None:
        configs = {p.graph_config for p in parts}
        if len(configs) != 1:
            raise MismatchError(
                f"expected stores with equal graph options, got {sorted(map(str, configs))}"
            )
        self.parts = parts
        self._starts = np.cumsum([0] + [len(p) for p in parts])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals, part after part."""
        return [i for part in self.parts for i in part.ids]

    @property
    def sizes(self) -> np.ndarray:
        """(crystals, 4) int64, as of `Dataset`."""
        return np.concatenate([part.sizes for part in self.parts])

    @property
    def in_degree(self) -> int:
        """Edges of every site, where all have as many; 0 where not."""
        found = {part.in_degree for part in self.parts}
        return found.pop() if len(found) == 1 else 0

    @property
    def graph_config(self) -> GraphConfig:
        """The options that the graphs were made with."""
        return self.parts[0].graph_config

    @property
    def digest(self) -> str:
        """Hashes of the stores."""
        return "+".join(part.digest for part in self.parts)

    def target(self, name: str) -> np.ndarray:
        """(crystals,) float64, NaN where a part does not teach the target."""
        return np.concatenate([part.target(name) for part in self.parts])

    def unit(self, name: str) -> str:
        """Unit of a target, from the first part that teaches it."""
        teachers = [p for p in self.parts if p.only is None or name in p.only]
        return (teachers or list(self.parts))[0].unit(name)

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Graphs at positions, in their order."""
        owner = np.searchsorted(self._starts, positions, side="right") - 1
        pieces = [
            self.parts[p].take(positions[owner == p] - self._starts[p], targets)
            for p in np.unique(owner)
        ]
        if len(pieces) == 1:
            return pieces[0]
        place = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
        return reorder(concatenate(pieces), place)


class GraphList:
    """Graphs in memory as a data set; prediction needs no targets of them."""

    def __init__(
        self,
        graphs: Sequence[CrystalGraph],
        graph_config: GraphConfig,
        targets: Mapping[str, np.ndarray] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Keeps the graphs.

        Args:
          graphs: reduced or not.
          graph_config: the options that they were made with.
          targets: name -> (graphs,) values, NaN where unknown.
          units: name -> unit, where it is known.
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
        """(crystals, 4) int64, as of `Dataset`."""
        distinct = [len(set(g.atomic_numbers.tolist())) for g in self.graphs]
        rows = [
            (g.n_nodes, g.n_edges, d, d * (d - 1))
            for g, d in zip(self.graphs, distinct, strict=True)
        ]
        return np.array(rows, np.int64).reshape(-1, 4)

    @property
    def in_degree(self) -> int:
        """Edges of every site, where all have as many; 0 where not."""
        return GraphArrays.from_graphs(self.graphs).in_degree

    @property
    def digest(self) -> str:
        """Graphs in memory have none."""
        return ""

    def target(self, name: str) -> np.ndarray:
        """(crystals,) float64, NaN where unknown."""
        return self._targets.get(name, np.full(len(self), np.nan))

    def unit(self, name: str) -> str:
        """Unit of a target, "" if unknown."""
        return self._units.get(name, "")

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Graphs at positions, laid end to end."""
        chosen = [self.graphs[p] for p in positions]
        values = {t: self.target(t)[positions].tolist() for t in targets}
        return GraphArrays.from_graphs(chosen, values)

    def strings(self, column: str, rows: np.ndarray) -> list[str]:
        """The column "id" or "formula" at the given rows."""
        chosen = [self.graphs[row] for row in rows]
        if column == "id":
            return [graph.id for graph in chosen]
        return [
            reduced_formula(np.repeat(g.atomic_numbers, g.node_multiplicity).tolist())
            for g in chosen
        ]
