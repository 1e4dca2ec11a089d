"""Graphs in memory as a data set."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import MismatchError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.structures import Crystal, reduced_formula, unit_of


class GraphList:
    """Data set of graphs in memory, with or without targets; `reduced` if all of them are known to
    be.
    """

    def __init__(
        self,
        graphs: Sequence[CrystalGraph],
        graph_config: GraphConfig,
        targets: Mapping[str, np.ndarray] | None = None,
        units: Mapping[str, str] | None = None,
        origins: Mapping[str, str] | None = None,
        *,
        reduced: bool = False,
    ) -> None:
        """Take graphs that are all reduced or all not, with (graphs,) values of targets, NaN where
        unknown.

        `origins` are the calculators that computed targets, where known.
        """
        self.reduced = reduced
        self.graphs = list(graphs)
        self.graph_config = graph_config
        self._targets, self._units = dict(targets or {}), dict(units or {})
        self._origins = dict(origins or {})

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[CrystalGraph, Crystal]],
        graph_config: GraphConfig,
        names: Sequence[str],
        *,
        reduced: bool = True,
    ) -> Self:
        """Make a data set of graphs and their crystals, with the named properties as targets.

        MismatchError if a property was computed by different calculators.
        """
        values = {n: np.array([c.targets.get(n, np.nan) for _, c in pairs]) for n in names}
        units, origins = dict[str, str](), dict[str, str]()
        for _, crystal in pairs:
            for name in names:
                units.setdefault(name, crystal.units.get(name, unit_of(name)))
                if (origin := crystal.origins.get(name, "")) and origins.setdefault(
                    name, origin
                ) != origin:
                    raise MismatchError(
                        f"{crystal.id!r}: {name!r} was computed by {origin}, that of others by "
                        f"{origins[name]}; label all crystals with one calculator"
                    )
        graphs = [graph for graph, _ in pairs]
        return cls(graphs, graph_config, values, units, origins, reduced=reduced)

    @classmethod
    def join(cls, parts: Sequence[Self], graph_config: GraphConfig) -> Self:
        """Join data sets with the same targets; units and origins are those of the first."""
        names = list(parts[0].units) if parts else []
        return cls(
            [graph for part in parts for graph in part.graphs],
            graph_config,
            {name: np.concatenate([part.target(name) for part in parts]) for name in names},
            parts[0].units if parts else None,
            {name: parts[0].origin(name) for name in names},
            reduced=all(part.reduced for part in parts),
        )

    def __len__(self) -> int:
        return len(self.graphs)

    def __repr__(self) -> str:
        return f"GraphList of {len(self)} graphs, targets {sorted(self._targets)}"

    @property
    def units(self) -> dict[str, str]:
        """Units of all targets, "" where unknown."""
        return {t: self.unit(t) for t in self._targets}

    def graph(self, row: int) -> CrystalGraph:
        """Return a graph by position."""
        return self.graphs[row]

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

    def origin(self, name: str) -> str:
        """Return the calculator that computed a target, "" if unknown."""
        return self._origins.get(name, "")

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
