"""Properties of crystals: selection of numeric values, ids and known units."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from cgatjax.errors import InputError

ID_KEYS: tuple[str, ...] = ("entry_id", "id", "mat_id", "material_id")
"""Keys of a crystal's id, in order of preference."""

EXCLUDED_KEYS = frozenset({*ID_KEYS, "nsites", "spg", "spacegroup"})
"""Numbers that describe the structure or the record: only read if named as a target."""

UNITS: dict[str, str] = {
    "e-form": "eV/atom",
    "e_form": "eV/atom",
    "e_above_hull": "eV/atom",
    "e_above_hull_new": "eV/atom",
    "volume": "A^3/atom",
    "band_gap": "eV",
    "band_gap_ind": "eV",
    "band_gap_dir": "eV",
}
"""Units of the DCGAT keys (energies and volumes are stored per atom there)."""


def unit_of(name: str) -> str:
    """Return the unit of a property, or "" if it is unknown.

    A fidelity may follow the name: "e-form_pbe" and "e-form@SCAN" have the unit of "e-form".
    Otherwise a unit at the end of the name is used ("heat_eV_per_atom", "gap_eV"), and other gaps
    are in eV.

    >>> unit_of("volume_pbe"), unit_of("total_mag")
    ('A^3/atom', '')
    """
    base = name.split("@", 1)[0]
    for key, unit in UNITS.items():
        if base == key or base.startswith(f"{key}_"):
            return unit
    if base.endswith(("_eV_per_atom", "_eV_atom")):
        return "eV/atom"
    is_gap = "gap" in base.lower().replace("-", "_").split("_")
    return "eV" if is_gap or base.endswith("_eV") else ""


def is_number(value: Any) -> bool:
    """Check whether a value is a real scalar; True and False are not."""
    if type(value) is float:
        return True
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def finite_or_nan(value: Any) -> float:
    """Convert a value to float; NaN for a missing, infinite or non-numeric one."""
    if not is_number(value):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def writable(text: str) -> str:
    r"""Escape unpaired surrogates, which JSON may contain and no file can store.

    >>> writable("mp-\ud800")
    'mp-\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_target_names(targets: Sequence[str] | None) -> tuple[str, ...] | None:
    """Check a list of target names and return it as a tuple; None is returned unchanged.

    Raises:
      InputError: a single string, an item of another type, or a repeated name.
    """
    if targets is None:
        return None
    if isinstance(targets, str) or not all(isinstance(name, str) for name in targets):
        raise InputError(f"targets: expected a list of property names, got {targets!r}")
    if len(set(targets)) != len(targets):
        raise InputError(f"targets: expected distinct names, got {list(targets)}")
    return tuple(targets)


def select_properties(values: Mapping[str, Any], targets: Sequence[str] | None) -> dict[str, float]:
    """Select the properties of one crystal.

    Args:
      values: all values of the crystal, of any type.
      targets: names to take, NaN where missing or not a finite number; None takes every finite
        number that is not among `EXCLUDED_KEYS`.

    Returns:
      name -> value, in the unit of the input.
    """
    if targets is not None:
        return {name: finite_or_nan(values.get(name)) for name in targets}
    found = {
        writable(str(name)): finite_or_nan(value)
        for name, value in values.items()
        if name not in EXCLUDED_KEYS and is_number(value)
    }
    return {name: value for name, value in found.items() if not math.isnan(value)}


def crystal_id(values: Mapping[str, Any], fallback: str) -> str:
    """Return the value of the first of `ID_KEYS` present, or the fallback."""
    for key in ID_KEYS:
        name = values.get(key)
        if (isinstance(name, str) and name) or (is_number(name) and name == name):
            return writable(str(name))
    return fallback
