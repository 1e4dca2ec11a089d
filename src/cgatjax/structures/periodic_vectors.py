"""One-hot vectors of the elements: group, period, block, valence electrons and measured properties.

`periodic.npz` beside this module holds them, so that nothing but NumPy is needed to read them;
`python -m cgatjax.structures.periodic_vectors` writes it anew. Data: pymatgen's periodic table.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.structures.elements import SYMBOLS

FILE = Path(__file__).with_name("periodic.npz")
BINS = 10
"""Intervals of equal width of a continuous property; an element without a value is in none."""
SUBSHELLS = {"s": 3, "p": 7, "d": 11, "f": 15}
"""Subshell -> possible numbers of electrons outside of the noble-gas core, 0 included."""


def periodic_vectors() -> dict[str, list[float]]:
    """Compute the vectors: symbol -> zeros and ones.

    18 groups, 9 periods, 4 blocks; 10 intervals each of Pauling electronegativity, atomic radius,
    logarithm of the first ionization energy, electron affinity and logarithm of the molar volume;
    numbers of s, p, d and f electrons outside of the noble-gas core.
    """
    from pymatgen.core import Element

    elements = [Element(symbol) for symbol in SYMBOLS[1:]]
    columns = [
        _one_hot([e.group - 1 for e in elements], 18),
        _one_hot([e.row - 1 for e in elements], 9),
        _one_hot(["spdf".index(e.block) for e in elements], 4),
    ]
    properties: list[Callable[[Any], float | None]] = [
        lambda e: e.X,
        lambda e: e.atomic_radius or e.atomic_radius_calculated,
        lambda e: np.log(e.ionization_energies[0]),
        lambda e: e.electron_affinity,
        lambda e: np.log(e.molar_volume) if e.molar_volume else None,
    ]
    for value_of in properties:
        values = [value_of(e) for e in elements]
        columns.append(_binned(np.array([np.nan if v is None else float(v) for v in values])))
    for subshell, sizes in SUBSHELLS.items():
        columns.append(_one_hot([_valence_electrons(e, subshell) for e in elements], sizes))
    rows = np.concatenate(columns, axis=1).tolist()
    return dict(zip(SYMBOLS[1:], rows, strict=True))


def _valence_electrons(element: Any, subshell: str) -> int:
    """Count the electrons of a kind of subshell outside of the noble-gas core."""
    from pymatgen.core import Element

    cores = [z for z in (2, 10, 18, 36, 54, 86) if z < element.Z]
    core = Element.from_Z(cores[-1]).full_electronic_structure if cores else []
    inner = {(n, kind) for n, kind, _ in core}
    shells = element.full_electronic_structure
    return sum(k for n, kind, k in shells if kind == subshell and (n, kind) not in inner)


def _one_hot(indices: list[int], size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[indices]


def _binned(values: np.ndarray) -> np.ndarray:
    """Sort values into intervals of equal width, (n,) -> (n, BINS); NaN into none."""
    low, high = np.nanmin(values), np.nanmax(values)
    known = np.isfinite(values)
    places = (np.where(known, values - low, 0) / (high - low) * BINS).astype(int)
    return _one_hot(np.minimum(places, BINS - 1).tolist(), BINS) * known[:, None]


if __name__ == "__main__":
    vectors = periodic_vectors()
    np.savez_compressed(
        FILE,
        symbols=np.array(list(vectors)),
        vectors=np.array(list(vectors.values()), dtype=np.float32),
    )
