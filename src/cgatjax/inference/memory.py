"""Memory of models: which crystals of a data set they were trained on, by the records in them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.data.datasets import Crystals
from cgatjax.errors import InputError
from cgatjax.model.model import Model
from cgatjax.model.training_record import THE_MODEL, CrystalHashes, SeenBy, crystal_hashes


class TrainedOn(NamedTuple):
    """Numbers of crystals of a data set that were used in training.

    Attributes:
      train: crystals of the training set, by graph.
      valid: further crystals of the validation set, by graph.
      formulas: crystals whose reduced formula the training set has, those of `train` included.
      total: size of the data set.
      model: name of the model.
    """

    train: int
    valid: int
    formulas: int
    total: int
    model: str = "the model"

    def text(self, crystals: str = "crystals") -> str:
        """Describe the numbers in a sentence, with a word for the crystals."""
        if not (self.train or self.valid or self.formulas):
            return f"no {crystals} were in the training set of {self.model} (by graph or formula)"
        verb = "was" if self.train == 1 else "were"
        known = (
            f"{self.train} of the {self.total} {crystals} {verb} in the training set of "
            f"{self.model} (by graph), {self.formulas} by formula"
        )
        return known + (f"; {self.valid} more in its validation set" if self.valid else "")


def total_of(counts: Sequence[TrainedOn | None]) -> TrainedOn | None:
    """Add the counts of the parts of a data set; None if they are unknown."""
    known = [count for count in counts if count is not None]
    if not known or len(known) < len(counts):
        return None
    return TrainedOn(
        train=sum(count.train for count in known),
        valid=sum(count.valid for count in known),
        formulas=sum(count.formulas for count in known),
        total=sum(count.total for count in known),
        model=known[0].model,
    )


def count_trained_on(members: Sequence[Model], data: Crystals) -> TrainedOn | None:
    """Count crystals of the training and validation sets of models, by graph and formula.

    Hashing takes some 20 us a crystal, ten times as long if graphs are not reduced. None if no
    member has a record of its training.
    """
    if not _have_memory(members):
        return None
    hashes = crystal_hashes(data)
    train, valid = (_among(members, hashes, subset, "graph") for subset in ("train", "valid"))
    formulas = train | _among(members, hashes, "train", "formula")
    return TrainedOn(
        train=int(train.sum()),
        valid=int((valid & ~train).sum()),
        formulas=int(formulas.sum()),
        total=len(data),
        model=members[0].record.name if members[0].record is not None else THE_MODEL,
    )


def was_trained_on(members: Sequence[Model], data: Crystals, by: SeenBy) -> np.ndarray:
    """Mark the crystals that a member was trained on, as of `Predictor.seen`."""
    if not _have_memory(members):
        raise InputError(
            "the model does not record the crystals that it was trained on, so none of them can be "
            "found in other data"
        )
    return _among(members, crystal_hashes(data), "train", by)


def _have_memory(members: Sequence[Model]) -> bool:
    return any(m.record is not None and len(m.record.train.graphs) for m in members)


def _among(
    members: Sequence[Model], hashes: CrystalHashes, subset: Literal["train", "valid"], by: SeenBy
) -> np.ndarray:
    """Mark the crystals that are in the training or validation set of a member."""
    records = [member.record for member in members if member.record is not None]
    known: list[CrystalHashes] = [getattr(record, subset) for record in records]
    return np.any([np.isin(hashes.of(by), own.of(by)) for own in known], axis=0)
