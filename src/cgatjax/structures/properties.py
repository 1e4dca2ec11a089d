"""Properties of crystals: selection of numeric values, ids and known units."""

import functools
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cgatjax.errors import InputError, StructureError, TargetError

CELL_VOLUME = "cell_volume"
"""Property that every crystal has: the volume of the given cell, per atom."""

ID_KEYS: tuple[str, ...] = ("entry_id", "id", "mat_id", "material_id", "jid")
"""Keys of a crystal's id, in order of preference."""

EXCLUDED_KEYS = frozenset(
    [
        *ID_KEYS,
        *"nsites n_sites natoms nelements nperiodic_dimensions".split(),
        *"spg spg_number spacegroup spacegroup_number space_group_it_number".split(),
    ]
)
"""Numbers that describe the structure or the record: only read if named as a target."""

UNITS: dict[str, str] = {
    "e-form": "eV/atom",
    "e_form": "eV/atom",
    "e_above_hull": "eV/atom",
    "e_above_hull_new": "eV/atom",
    "energy_total": "eV/cell",
    "energy_corrected": "eV/cell",
    "volume": "A^3/atom",
    CELL_VOLUME: "A^3/atom",
    "band_gap": "eV",
    "band_gap_ind": "eV",
    "band_gap_dir": "eV",
    "bandgap": "eV",
    "energy_above_hull": "eV/atom",
    "ehull": "eV/atom",
    "optb88vdw_total_energy": "eV/atom",
}
"""Units of the keys of DCGAT and Alexandria (energies and volumes are per atom there, except
`energy_total` and `energy_corrected`), the Materials Project and JARVIS."""

MISSING_WORDS = frozenset(
    ["", *"na n/a #n/a #na n.a. nan none null nil missing unknown - -- --- ? . ...".split()]
)
"""Words for a missing value, in lower case."""

_NUMBER_START = frozenset("+-.0123456789")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@functools.lru_cache(maxsize=4096)
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
    words = base.lower().replace("-", "_").split("_")
    is_per_atom = base.endswith(("_per_atom", "_peratom", "_eV_atom"))
    if is_per_atom and ("energy" in words or "ev" in words):
        return "eV/atom"
    is_gap = "gap" in words or "bandgap" in words
    return "eV" if is_gap or base.endswith("_eV") else ""


def require_no_total(name: str, unit: str) -> None:
    """Raise TargetError for a property of the whole cell: networks predict values per atom."""
    if unit.endswith("/cell"):
        raise TargetError(
            f"{name!r} is in {unit}, of the whole cell; divide it by the number of sites when the "
            f"store is built: per_atom=[{name!r}]"
        )


def is_number(value: Any) -> bool:
    """Check whether a value is a real scalar; True and False are not."""
    if type(value) is float:
        return True
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def finite_or_nan(value: Any) -> float:
    """Convert a value to float; NaN for a missing, infinite or non-numeric one."""
    if isinstance(value, str):
        number = number_in(value)
        return math.nan if number is None else number
    if not is_number(value):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def number_in(text: str, decimal: str = ".") -> float | None:
    """Return the finite number in a text, NaN for a word for a missing value, None for other text.

    >>> number_in(" -2.5e-1 "), number_in("1,5", decimal=","), number_in("2 eV")
    (-0.25, 1.5, None)
    """
    text = text.strip()
    if decimal != "." and "." not in text:
        text = text.replace(decimal, ".")
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    return math.nan if text.lower() in MISSING_WORDS else None


def writable(text: str) -> str:
    r"""Escape unpaired surrogates, which JSON may contain and no file can store.

    >>> writable("mp-\ud800")
    'mp-\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def check_target_names(targets: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return distinct target names as a tuple, and None as it is; InputError for others."""
    if targets is None:
        return None
    if isinstance(targets, str) or not all(isinstance(name, str) for name in targets):
        raise InputError(f"targets: expected a list of property names, got {targets!r}")
    if len(set(targets)) != len(targets):
        raise InputError(f"targets: expected distinct names, got {list(targets)}")
    return tuple(targets)


def select_properties(values: Mapping[str, Any], targets: Sequence[str] | None) -> dict[str, float]:
    """Select the properties of one crystal: name -> value, in the unit of the input.

    Named ones are NaN where missing or not finite; None selects every finite number that is not
    among `EXCLUDED_KEYS`. Numbers may be strings; other text in a named one is a StructureError.
    """
    if targets is not None:
        for name in targets:
            value = values.get(name)
            if isinstance(value, str) and number_in(value) is None:
                raise StructureError(f"property {name!r}: expected a number, got {value!r:.60}")
        return {name: finite_or_nan(values.get(name)) for name in targets}
    found = {
        writable(str(name)): finite_or_nan(value)
        for name, value in values.items()
        if name not in EXCLUDED_KEYS and _may_be_number(value)
    }
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _may_be_number(value: Any) -> bool:
    """Check for a number, or a text that begins like one (parsing every text takes longer)."""
    return value.strip()[:1] in _NUMBER_START if isinstance(value, str) else is_number(value)


def split_unit(title: str) -> tuple[str, str]:
    """Split a column title into name and unit in brackets, "" for none.

    >>> split_unit("e-form [eV/atom]"), split_unit("gap (eV)"), split_unit("log10(K_VRH)")
    (('e-form', 'eV/atom'), ('gap', 'eV'), ('log10(K_VRH)', ''))
    """
    match = re.fullmatch(r"(.*\S)\s*(?:\[([^][]*)\]|\s\(([^()]*)\))", title.strip())
    if match is None:
        return title.strip(), ""
    return match[1], (match[2] or match[3] or "").strip()


def crystal_id(values: Mapping[str, Any], fallback: str) -> str:
    """Return the value of the first of `ID_KEYS` present, or the fallback."""
    for key in ID_KEYS:
        name = values.get(key)
        if (isinstance(name, str) and name) or (is_number(name) and name == name):
            return writable(str(name))
    return fallback
