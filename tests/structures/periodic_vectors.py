"""One-hot vectors of the elements: group, period, block, valence electrons and measured properties.

`structures/periodic.npz` holds them, so that nothing but NumPy is needed to read them;
`python -m tests.structures.periodic_vectors` writes it anew.
"""

from pathlib import Path

import numpy as np

from cgatjax.structures import elements
from cgatjax.structures.element_properties import ELEMENT_PROPERTIES, element_properties
from cgatjax.structures.elements import SYMBOLS

FILE = Path(elements.__file__).with_name("periodic.npz")
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

    values = dict(zip(ELEMENT_PROPERTIES, element_properties()[1:].T, strict=True))
    blocks = np.array(["spdf".index(Element(symbol).block) for symbol in SYMBOLS[1:]])
    radius = values["atomic_radius"]
    radius = np.where(np.isfinite(radius), radius, values["atomic_radius_calculated"])
    columns = [
        _one_hot(values["group"] - 1, 18),
        _one_hot(values["row"] - 1, 9),
        _one_hot(blocks, 4),
        _binned(values["X"]),
        _binned(radius),
        _binned(np.log(values["ionization_energy"])),
        _binned(values["electron_affinity"]),
        _binned(np.log(values["molar_volume"])),
        *(_one_hot(values[f"{s}_electrons"], size) for s, size in SUBSHELLS.items()),
    ]
    rows = np.concatenate(columns, axis=1).tolist()
    return dict(zip(SYMBOLS[1:], rows, strict=True))


def _one_hot(indices: np.ndarray, size: int) -> np.ndarray:
    return np.eye(size, dtype=np.float32)[indices.astype(int)]


def _binned(values: np.ndarray) -> np.ndarray:
    """Sort values into intervals of equal width, (n,) -> (n, BINS); NaN into none."""
    low, high = np.nanmin(values), np.nanmax(values)
    known = np.isfinite(values)
    places = np.where(known, values - low, 0) / (high - low) * BINS
    return _one_hot(np.minimum(places, BINS - 1), BINS) * known[:, None]


if __name__ == "__main__":
    vectors = periodic_vectors()
    np.savez_compressed(
        FILE,
        symbols=np.array(list(vectors)),
        vectors=np.array(list(vectors.values()), dtype=np.float32),
    )
