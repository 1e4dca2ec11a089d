"""Options of the data: crystal graphs, and splits of a store."""

from dataclasses import dataclass
from typing import Any, Literal

from cgatjax.options import Options


@dataclass(frozen=True, kw_only=True)
class GraphConfig(Options):
    """Options of crystal graphs. The defaults are the released code's.

    Attributes:
      max_neighbors: number K of neighbors (periodic images) kept around each site.
      shell_tolerance: a neighbor starts a new shell when it is farther than the first neighbor of
        the current shell by more than this.
      tolerance_kind: "absolute" (tolerance in angstrom) or "relative" (fraction of the distance of
        the shell's first neighbor; only this keeps graphs independent of the cell volume).
      split_shell: treatment of a last shell that K cuts. "cut" keeps its first neighbors in a
        documented order; "share" keeps the whole shell, each neighbor with weight
        (slots left) / (shell size).
      max_radius: search radius in angstrom; a site with fewer than K neighbors inside is an error.

    Examples:
      >>> GraphConfig.recommended(max_neighbors=12).split_shell
      'share'
    """

    max_neighbors: int = 24
    shell_tolerance: float = 1e-8
    tolerance_kind: Literal["absolute", "relative"] = "absolute"
    split_shell: Literal["cut", "share"] = "cut"
    max_radius: float = 18.0

    def _check(self) -> None:
        self._require(1 <= self.max_neighbors <= 255, "max_neighbors", "1..255")
        self._require(0 <= self.shell_tolerance < 1, "shell_tolerance", "a number in [0, 1)")
        self._require(0 < self.max_radius <= 100, "max_radius", "0 < angstrom <= 100")

    @classmethod
    def released(cls, **changes: Any) -> "GraphConfig":
        """Return the reference's options (`prepare_data.py`: 18 A, 24 neighbors, 1e-8 A)."""
        return cls(**changes)

    @classmethod
    def recommended(cls, **changes: Any) -> "GraphConfig":
        """Return options for graphs independent of site order, orientation, cell and volume."""
        defaults = {"shell_tolerance": 3e-4, "tolerance_kind": "relative", "split_shell": "share"}
        return cls(**{**defaults, **changes})


DuplicateKey = Literal["id", "formula", "graph", "prototype"]
"""Crystals are duplicates by id, reduced formula, graph hash, or graph hash without elements."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Options):
    """Options of a split into training, validation and test set.

    Attributes:
      split: JSON file with the ids of train, valid and test, instead of a new split.
      split_by: keep all crystals with the same reduced "formula" or structure type ("prototype") in
        one subset.
      fractions: fractions of train, valid and test.
      exclude: crystals to remove against data leakage: the validation and test ids of a run, of a
        store (split with these options) or of a split JSON, or the ids in a JSON, text or CSV file.
      exclude_by: with the excluded ids, remove all crystals of the same formula, the same graph
        (crystal) or the same prototype (structure type).
      exclude_seen: with a pre-trained model, leave out of the validation and test sets what it was
        trained on: equal crystals ("graph") or those of the same reduced "formula".
      train_size: size of a nested random subset of the training set; by default all of it.
      seed: random seed of the split and of the nested subset.

    Examples:
      >>> SplitConfig(fractions=(0.9, 0.05, 0.05)).split_by
      'id'
    """

    split: str | None = None
    split_by: Literal["id", "formula", "prototype"] = "id"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    exclude: tuple[str, ...] = ()
    exclude_by: DuplicateKey = "id"
    exclude_seen: Literal["graph", "formula"] | None = None
    train_size: int | None = None
    seed: int = 0

    def _check(self) -> None:
        self._require(
            min(self.fractions) >= 0 and sum(self.fractions) <= 1 + 1e-9,
            "fractions",
            "three fractions that sum to at most 1",
        )
        self._require_at_least(1, "train_size")
        self._require_seed()
