"""Groups of crystals to leave out: groups and periods of the periodic table, structure types."""

from typing import Literal, NamedTuple

import numpy as np

from cgatjax.data.compositions import element_fractions
from cgatjax.data.datasets import Dataset
from cgatjax.graphs.hashes import hash_arrays
from cgatjax.plotting.periodic_table import cell_of
from cgatjax.structures import SYMBOLS

GroupKind = Literal["element-group", "period", "prototype"]
_F_ROWS = {9: 6, 10: 7}
"""Row of the f elements below the table -> their period."""


class Group(NamedTuple):
    """Crystals to leave out together.

    Attributes:
      name: name of the group.
      mask: (crystals,) bool, True for its crystals.
    """

    name: str
    mask: np.ndarray


def find_groups(data: Dataset, kind: GroupKind) -> list[Group]:
    """List the groups of a data set, the largest first.

    A crystal is in the groups of all its elements, but has one structure type.

    Args:
      data: the crystals.
      kind: "element-group" (columns of the periodic table; lanthanides and actinides are one each),
        "period" (rows) or "prototype" (equal graphs but for the elements).
    """
    if kind == "prototype":
        hashes = hash_arrays(
            data.take(np.arange(len(data))), with_elements=False, reduced=data.reduced
        )
        found = [
            Group(f"structure type {h:016x}"[:22], np.equal(hashes, h)) for h in np.unique(hashes)
        ]
    else:
        present = element_fractions(data) > 0
        labels = np.array(["", *(_label(z, kind) for z in range(1, len(SYMBOLS)))])
        found = [
            Group(str(label), np.any(present[:, labels == label], axis=1))
            for label in np.unique(labels[1:])
        ]
    return sorted((g for g in found if g.mask.any()), key=lambda g: (-int(g.mask.sum()), g.name))


def _label(number: int, kind: GroupKind) -> str:
    """Name the group or period of an element.

    >>> _label(17, "element-group"), _label(17, "period"), _label(58, "element-group")
    ('group 17', 'period 3', 'lanthanides')
    """
    row, column = cell_of(number)
    if kind == "period":
        return f"period {_F_ROWS.get(row, row)}"
    return {9: "lanthanides", 10: "actinides"}.get(row, f"group {column}")
