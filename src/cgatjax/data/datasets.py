"""Data sets: rows of a store, rows of several stores, or graphs in memory."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError, MismatchError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import GraphArrays, concatenate, reorder
from cgatjax.runtime import SHOWN_ROWS, preview
from cgatjax.structures import readable_formula

if TYPE_CHECKING:
    from pandas import DataFrame


def positions_of(key: Any, n: int, ids: Callable[[], list[str]]) -> np.ndarray:
    """Return the positions among n items that a key means; of shape () for a single item.

    A key is a position, id, slice, mask of length n, or a sequence of positions or of ids.
    IndexError without such a position, InputError without such an id, or for another kind of key.
    """
    if isinstance(key, slice):
        return np.arange(n)[key]
    found = np.asarray(key)
    if found.ndim == 1 and not len(found):
        return np.zeros(0, np.int64)
    if found.dtype.kind == "U":
        place = {name: position for position, name in enumerate(ids())}
        absent = [name for name in found.ravel().tolist() if name not in place]
        if absent:
            raise InputError(f"no crystal has the id {absent[0]!r}")
        found = np.array([place[name] for name in found.ravel().tolist()]).reshape(found.shape)
    is_mask = found.dtype.kind == "b" and found.shape == (n,)
    if not is_mask and (found.dtype.kind not in "iu" or found.ndim > 1):
        raise InputError(
            f"expected a position, an id, a slice, a mask of length {n}, or several positions or "
            f"ids, got {type(key).__name__} {key!r:.80}"
        )
    return np.asarray(np.arange(n)[found])


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
    def reduced(self) -> bool:
        """True if the graphs are known to be reduced."""

    @property
    def digest(self) -> str:
        """Hash of the stores of the crystals."""

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""

    def origin(self, name: str) -> str:
        """Return the calculator that computed a target, "" if unknown."""

    def take(self, positions: np.ndarray, /, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at the given positions, with the named targets."""


class GraphStore(Crystals, Protocol):
    """Interface of stores to `Dataset`; positions are row numbers."""

    @property
    def units(self) -> Mapping[str, str]:
        """Units of all targets."""

    def strings(self, column: str, rows: np.ndarray) -> list[str]:
        """Return the column "id" or "formula" at the given rows."""

    def graph(self, row: int) -> CrystalGraph:
        """Return the graph of a row."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a store, in a fixed order.

    `data[3]` and `data["mp-1"]` are graphs; `data[:10]`, `data[mask]` and `data[positions]` are
    data sets, and so is `data[["mp-1", "mp-2"]]`.

    Attributes:
      store: the store.
      rows: (crystals,) int64 row numbers.
      only: targets visible in these rows; None for all. In joint training two stores have a
        column of the same name, and each trains one head.
      offsets: target -> (crystals,) values that are subtracted from it, as of `minus`.
    """

    store: GraphStore
    rows: np.ndarray
    only: tuple[str, ...] | None = None
    offsets: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, key: int | str) -> CrystalGraph: ...

    @overload
    def __getitem__(self, key: slice | Sequence[Any] | np.ndarray) -> "Dataset": ...

    def __getitem__(self, key: Any) -> "CrystalGraph | Dataset":
        """Return a graph by position or id, or the data set of a slice, a mask, several of them.

        IndexError without such a position, InputError without such an id or for another key.
        """
        chosen = positions_of(key, len(self), lambda: self.ids)
        return self.select(chosen) if chosen.ndim else self.store.graph(int(self.rows[chosen]))

    def __iter__(self) -> Iterator[CrystalGraph]:
        return (self.store.graph(int(row)) for row in self.rows)

    def __repr__(self) -> str:
        names = list(self.units)
        targets = ", ".join(f"{t} ({unit or '?'})" for t, unit in self.units.items())
        shown = self.select(np.arange(min(SHOWN_ROWS, len(self))))
        values = shown.take(np.arange(len(shown)), names).targets if len(shown) else {}
        rows = list(
            zip(
                shown.ids,
                map(readable_formula, shown.formulas),
                *(values[t].tolist() for t in names if len(shown)),
                strict=True,
            )
        )
        head = f"Dataset of {len(self)} crystals, targets: {targets or 'none'}"
        return preview(head, ("id", "formula", *names), rows, len(self))

    def to_frame(self) -> "DataFrame":
        """Return id, formula and targets as a pandas data frame; `attrs["units"]` has the units."""
        from pandas import DataFrame

        formulas = map(readable_formula, self.formulas)
        columns: dict[str, Any] = {"id": self.ids, "formula": list(formulas)}
        frame = DataFrame(columns | {t: self.target(t) for t in self.units})
        frame.attrs["units"] = self.units
        return frame

    @property
    def units(self) -> dict[str, str]:
        """Visible targets and their units."""
        known = self.store.units
        return dict(known) if self.only is None else {t: self.store.unit(t) for t in self.only}

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
    def reduced(self) -> bool:
        """True if the graphs are known to be reduced."""
        return self.store.reduced

    @property
    def digest(self) -> str:
        """Hash of the store."""
        return self.store.digest

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown."""
        if self.only is not None and name not in self.only:
            return np.full(len(self), np.nan)
        return self.store.target(name)[self.rows] - self.offsets.get(name, 0.0)

    def unit(self, name: str) -> str:
        """Return the unit of a target, "" if unknown."""
        return self.store.unit(name)

    def origin(self, name: str) -> str:
        """Return the calculator that computed a target, "" if unknown."""
        return self.store.origin(name)

    def take(self, positions: np.ndarray, targets: Sequence[str] = ()) -> GraphArrays:
        """Return the graphs at positions within this data set, with the named targets."""
        known = [t for t in targets if self.only is None or t in self.only]
        arrays = self.store.take(self.rows[positions], known)
        if len(known) == len(targets) and not self.offsets:
            return arrays
        unknown = np.full(len(positions), np.nan)
        values = {t: arrays.targets.get(t, unknown) for t in targets}
        for name in set(values) & set(self.offsets):
            values[name] = values[name] - self.offsets[name][positions]
        return dataclasses.replace(arrays, targets=values)

    def select(self, keep: np.ndarray) -> "Dataset":
        """Return the crystals at the given positions, or where a mask of this length is True."""
        offsets = {name: values[keep] for name, values in self.offsets.items()}
        return dataclasses.replace(self, rows=self.rows[keep], offsets=offsets)

    def restrict_targets(self, *targets: str) -> "Dataset":
        """Return the same rows with all other targets hidden."""
        return dataclasses.replace(self, only=targets)

    def minus(self, offsets: Mapping[str, np.ndarray]) -> "Dataset":
        """Return the same rows with values subtracted from targets, whose rest is to be learned.

        Args:
          offsets: target -> (crystals,) values in its unit; where one is NaN, so is the rest.
        """
        total = {t: self.offsets.get(t, 0.0) + values for t, values in offsets.items()}
        return dataclasses.replace(self, offsets={**self.offsets, **total})

    def with_targets(self, *targets: str) -> "Dataset":
        """Return the crystals with a value of at least one of these targets."""
        return self.select(np.any([np.isfinite(self.target(t)) for t in targets], axis=0))


class ConcatDataset:
    """Data sets of several stores as one, for joint training.

    Attributes:
      datasets: the data sets, in order.
      last_fraction: fraction of the last data set in the crystals of an epoch; None for each
        crystal once (`data.loader.epoch_order`).

    Raises:
      MismatchError: the stores have different graph options.
    """

    def __init__(self, *datasets: Dataset, last_fraction: float | None = None) -> None:
        configs = {d.graph_config for d in datasets}
        if len(configs) != 1:
            raise MismatchError(
                f"expected stores with equal graph options, got {sorted(map(str, configs))}"
            )
        self.datasets, self.last_fraction = datasets, last_fraction
        self._starts = np.cumsum([0] + [len(d) for d in datasets])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return "\n+ ".join([f"ConcatDataset of {len(self)} crystals", *map(repr, self.datasets)])

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
    def reduced(self) -> bool:
        """True if the graphs are known to be reduced."""
        return all(data.reduced for data in self.datasets)

    @property
    def digest(self) -> str:
        """Hashes of the stores, joined by "+"."""
        return "+".join(data.digest for data in self.datasets)

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) float64 values of a target, NaN where unknown or hidden."""
        return np.concatenate([data.target(name) for data in self.datasets])

    def unit(self, name: str) -> str:
        """Return the unit of a target in the first data set where it is visible."""
        return self._home(name).unit(name)

    def origin(self, name: str) -> str:
        """Return the calculator of a target in the first data set where it is visible."""
        return self._home(name).origin(name)

    def _home(self, name: str) -> Dataset:
        visible = [d for d in self.datasets if d.only is None or name in d.only]
        return (visible or list(self.datasets))[0]

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
