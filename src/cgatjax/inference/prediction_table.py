"""Predictions as a table: one row per crystal, with text, data frame and indexing."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from cgatjax.data.datasets import positions_of
from cgatjax.inference.memory import TrainedOn
from cgatjax.runtime import SHOWN_ROWS, preview
from cgatjax.structures import SYMBOLS, Rejected

if TYPE_CHECKING:
    from pandas import DataFrame


UNRECORDED = "the model does not record the elements that it was trained on"


class Prediction(NamedTuple):
    """Prediction of one crystal; mean and std are dictionaries if the model has several targets.

    Attributes:
      id: name of the crystal.
      mean: in the target's unit.
      std: standard deviation in the same unit, NaN where there is none.
    """

    id: str
    mean: float | dict[str, float]
    std: float | dict[str, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Predictions of one or several properties, one row per crystal.

    `found[0]` and `found["mp-1"]` are single predictions (id, mean, std); `found[:10]`,
    `found[mask]`, `found[positions]` and `found[["mp-1", "mp-2"]]` are those of some.

    Attributes:
      ids: names of the crystals.
      means: target -> (crystals,) in the target's unit.
      stds: target -> (crystals,) standard deviations in the same unit, NaN where there is none.
      units: target -> unit.
      std_notes: target -> origin of the standard deviation, or why there is none.
      unseen: elements of each crystal that the model was never trained on, mostly (); None if
        the model has no record of its training.
      trained_on: number of crystals that the model was trained on; None if it has no record.
      novelty: (crystals,) distance from the nearest training crystal in embedding space, 1 where
        ordinary new crystals end; None unless the model knows its domain (`cgatjax adapt`).
      skipped: crystals that could not be predicted, and why.
    """

    ids: list[str]
    means: dict[str, np.ndarray]
    stds: dict[str, np.ndarray]
    units: dict[str, str]
    std_notes: dict[str, str]
    unseen: list[tuple[str, ...]] | None = None
    trained_on: TrainedOn | None = None
    novelty: np.ndarray | None = None
    skipped: list[Rejected] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, key: int | str) -> Prediction: ...

    @overload
    def __getitem__(self, key: slice | Sequence[Any] | np.ndarray) -> "Predictions": ...

    def __getitem__(self, key: Any) -> "Prediction | Predictions":
        """Return one prediction by position or id, or those of a slice, a mask, several of them.

        IndexError without such a position, InputError without such an id or for another key.
        """
        chosen = positions_of(key, len(self), lambda: self.ids)
        means = {t: values[chosen] for t, values in self.means.items()}
        stds = {t: values[chosen] for t, values in self.stds.items()}
        if chosen.ndim:
            ids = [self.ids[k] for k in chosen.tolist()]
            unseen = None if self.unseen is None else [self.unseen[k] for k in chosen.tolist()]
            novelty = None if self.novelty is None else self.novelty[chosen]
            return dataclasses.replace(
                self, ids=ids, means=means, stds=stds, unseen=unseen, novelty=novelty
            )
        mean, std = ({t: float(v) for t, v in values.items()} for values in (means, stds))
        if len(mean) == 1:
            return Prediction(self.ids[chosen], *mean.values(), *std.values())
        return Prediction(self.ids[chosen], mean, std)

    def __iter__(self) -> Iterator[Prediction]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return self.text(SHOWN_ROWS)

    def text(self, shown: int) -> str:
        """Format the number of crystals and a table of the first ones.

        Args:
          shown: number of rows.
        """
        header = ["id"]
        columns: list[Sequence[Any]] = [self.ids[:shown]]
        for target, means in self.means.items():
            header.append(f"{target} ({self.units[target] or '?'})")
            columns.append(means[:shown].tolist())
            if np.isfinite(self.stds[target]).any():
                header.append("std")
                columns.append(self.stds[target][:shown].tolist())
        head = f"Predictions of {len(self)} crystals, {len(self.skipped)} skipped"
        return preview(head, header, list(zip(*columns, strict=True)), len(self))

    def to_frame(self) -> "DataFrame":
        """Return a pandas data frame: id, NAME and NAME:std of each target, unseen_elements."""
        from pandas import DataFrame

        numbers: dict[str, Any] = {}
        for target in self.means:
            numbers |= {target: self.means[target], f"{target}:std": self.stds[target]}
        if self.unseen is not None:
            numbers["unseen_elements"] = [" ".join(symbols) for symbols in self.unseen]
        if self.outside is not None:
            numbers["out_of_distribution"] = self.outside
        frame = DataFrame({"id": self.ids, **numbers})
        frame.attrs["units"] = dict(self.units)
        return frame

    def restrict_targets(self, targets: Collection[str]) -> "Predictions":
        """Return the predictions of some targets."""
        means, stds = ({t: v for t, v in values.items() if t in targets}
                       for values in (self.means, self.stds))  # fmt: skip
        return dataclasses.replace(self, means=means, stds=stds)

    @property
    def outside(self) -> np.ndarray | None:
        """(crystals,) bool, out of distribution: far from all training crystals, or with an element
        that none of them contains; None if the model does not know its domain.
        """
        if self.novelty is None:
            return None
        unseen = [bool(symbols) for symbols in self.unseen or [()] * len(self.ids)]
        return (self.novelty > 1) | np.array(unseen, bool)

    @property
    def unseen_elements(self) -> tuple[str, ...]:
        """Elements of all crystals that the model was never trained on, by atomic number."""
        return tuple(
            sorted({s for symbols in self.unseen or () for s in symbols}, key=SYMBOLS.index)
        )

    @property
    def unseen_note(self) -> str:
        """Describe the elements that the model was never trained on; "" if there are none."""
        if self.unseen is None:
            return UNRECORDED
        if not self.unseen_elements:
            return ""
        count, total = sum(map(bool, self.unseen)), len(self.ids)
        verb = "contains" if count == 1 else "contain"
        names = ", ".join(self.unseen_elements)
        return f"{count} of {total} structures {verb} elements never seen in training: {names}"

    @property
    def seen_note(self) -> str:
        """Count the crystals that the model was trained on; "" if there are none."""
        if self.trained_on is None or not self.trained_on.train:
            return ""
        return self.trained_on.text()

    @property
    def mean(self) -> np.ndarray | dict[str, np.ndarray]:
        """Predicted means; a dictionary for several targets."""
        return self.means if len(self.means) > 1 else next(iter(self.means.values()))

    @property
    def std(self) -> np.ndarray | dict[str, np.ndarray]:
        """Standard deviations; a dictionary for several targets."""
        return self.stds if len(self.stds) > 1 else next(iter(self.stds.values()))
