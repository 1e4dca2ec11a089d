"""Comparison of a crystal read from a CIF with the statements of the file about itself."""

import math
import re
from collections import Counter

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.cif.symmetry import Symmetry
from cgatjax.structures.cif.tags import CifTags
from cgatjax.structures.elements import SYMBOLS

_TOKENS = re.compile(r"([A-Z][a-z]?|[()])(\d*\.?\d+|\d+\.|)")

_VOLUME_TOLERANCE = 0.01
_FORMULA_TOLERANCE = 0.005
"""Relative; formula sums of large cells are rounded."""


def check_volume(tags: CifTags, lattice: np.ndarray) -> None:
    """Raise StructureError if the stated cell volume and that of the cell differ by more than 1
    %.
    """
    stated = tags.number("_cell_volume")
    volume = abs(float(np.linalg.det(lattice)))
    if stated is not None and abs(stated - volume) > _VOLUME_TOLERANCE * volume:
        raise StructureError(
            f"the cell has a volume of {volume:.6g} A^3, but the file states {stated:g}"
        )


def check_content(tags: CifTags, numbers: np.ndarray, symmetry: Symmetry) -> None:
    """Compare the atoms of the cell with the formula sum and Z, which must confirm some
    symmetries.
    """
    counts = Counter(SYMBOLS[z] for z in numbers.tolist())
    formula = _formula(tags)
    is_complete = bool(formula) and not any(map(math.isnan, formula.values()))
    if formula:
        missing = sorted(set(formula) - set(counts))
        if missing:
            raise StructureError(
                f"the formula has {', '.join(missing)}, but no site does; expected all atoms"
            )
        if is_complete and not _is_proportional(counts, formula):
            raise StructureError(
                f"the sites give {_text(counts)} by {symmetry.name}, but the formula sum is "
                f"{_text(formula)}"
            )
    units = tags.number("_cell_formula_units_z")
    is_equal = None
    if is_complete and units is not None and units > 0:
        is_equal = _is_cell_content(counts, formula, units)
        if not is_equal:
            raise StructureError(
                f"the cell has {_text(counts)} by {symmetry.name}, but formula sum and Z of the "
                f"file are {_text(formula)} and {units:g}"
            )
    if not symmetry.is_confirmed and not is_equal:
        raise StructureError(
            f"cannot confirm {symmetry.name}: expected a known space group, a list of symmetry "
            "operations that agrees with it, or formula sum and Z (P 1 has to be stated)"
        )


def _formula(tags: CifTags) -> dict[str, float]:
    """Return element -> amount of the formula sum; NaN for amounts that cannot be read."""
    text = tags.text("_chemical_formula_sum") or ""
    amounts = _amounts(re.sub(r"\s\d*[+-]$", "", text))  # without a charge
    if amounts is None:
        words = re.findall(r"[A-Z][a-z]?", text)
        symbols = [word if word in SYMBOLS else word[0] for word in words]  # "Hx" holds H
        amounts = {symbol: math.nan for symbol in symbols if symbol in SYMBOLS}
    return {symbol: amount for symbol, amount in amounts.items() if amount != 0}


def _amounts(text: str) -> dict[str, float] | None:
    """Parse "C2 H6 O" or "Ca (O H)2" to element -> amount, or return None."""
    tokens = _TOKENS.findall(text)
    if "".join(map("".join, tokens)) != re.sub(r"[\s,]", "", text):
        return None
    stack: list[dict[str, float]] = [{}]
    for item, amount in tokens:
        symbol = "H" if item in ("D", "T") else item
        if item == "(":
            stack.append({})
            continue
        if item == ")" and len(stack) > 1:
            part = stack.pop()
        elif symbol in SYMBOLS:
            part = {symbol: 1.0}
        else:
            return None
        factor = float(amount) if amount else 1.0
        for name, value in part.items():
            stack[-1][name] = stack[-1].get(name, 0.0) + factor * value
    return stack[0] if len(stack) == 1 else None


def _is_proportional(counts: Counter[str], formula: dict[str, float]) -> bool:
    if set(counts) != set(formula):
        return False
    ratios = [counts[symbol] / amount for symbol, amount in formula.items()]
    return max(ratios) <= min(ratios) * (1 + _FORMULA_TOLERANCE)


def _is_cell_content(counts: Counter[str], formula: dict[str, float], units: float) -> bool:
    """Check that a cell holds Z formula sums; pymatgen writes the sum of the whole cell beside Z.

    A formula sum counts as that of the whole cell only if it can be divided by Z.
    """
    total = sum(counts.values())
    one = sum(formula.values())
    if math.isclose(total, units * one, rel_tol=_FORMULA_TOLERANCE):
        return True
    is_whole = all(abs(a / units - round(a / units)) < 1e-6 for a in formula.values())
    return is_whole and math.isclose(total, one, rel_tol=_FORMULA_TOLERANCE)


def _text(amounts: dict[str, float] | Counter[str]) -> str:
    return " ".join(f"{symbol}{amount:g}" for symbol, amount in sorted(amounts.items()))
