"""Parser of POSCAR text in the format of VASP 5 and 6 (https://www.vasp.at/wiki/POSCAR).

Files of VASP 4, which have no line of element symbols, are read if a symbol follows each position.
Velocities and anything else after the positions are ignored.
"""

import math
import re

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.crystal import Cell
from cgatjax.structures.elements import atomic_number

_FORTRAN_NUMBER = re.compile(r"^([-+]?[\d.]+)[dD]([-+]?\d+)$")
_FLAGS = ("T", "F", ".TRUE.", ".FALSE.")


def parse_poscar(text: str) -> Cell:
    """Parse a POSCAR text to lattice, fractional coordinates and atomic numbers.

    Scale factor: one number, negative for the cell volume in cubic angstrom, or three numbers for
    the Cartesian directions. Suffixes of a POTCAR are removed ("Fe_pv", "Fe/0fec2f3e").

    Raises:
      StructureError: a line is missing or malformed, or an element is unknown or not named.
    """
    lines = text.rstrip().splitlines()
    if len(lines) < 8:
        raise StructureError(f"expected a POSCAR of at least 8 lines, got {len(lines)}")
    lattice, scale = _scaled_lattice(lines[1], lines[2:5])
    is_version_4 = lines[5].split()[:1] != [] and lines[5].split()[0].isdecimal()
    if is_version_4:
        lines.insert(5, "")
    counts = _counts(lines[6], most=len(lines))
    has_dynamics = lines[7].lstrip()[:1] in ("S", "s")
    mode, body = (lines[8:9], lines[9:]) if has_dynamics else (lines[7:8], lines[8:])
    positions = _positions(body, sum(counts))
    symbols = _following_symbols(body, counts) if is_version_4 else _symbols(lines[5])
    if len(symbols) != len(counts):
        raise StructureError(
            f"expected a positive number of sites for each of {symbols}, got {lines[6]!r}"
        )
    elements = [atomic_number(symbol.split("/")[0].split("_")[0]) for symbol in symbols]
    numbers = np.repeat(np.array(elements, dtype=np.uint8), counts)
    if mode and mode[0].lstrip()[:1] in ("C", "c", "K", "k"):
        with np.errstate(over="ignore", invalid="ignore"):  # `check_crystal` finds infinities
            positions = fractional(lattice, positions * scale)
    return lattice, positions, numbers


def fractional(lattice: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Convert (n, 3) Cartesian positions in angstrom to fractional coordinates."""
    try:
        return np.linalg.solve(lattice.T, positions.T).T
    except np.linalg.LinAlgError as error:
        raise StructureError(f"singular lattice {lattice.tolist()}") from error


def _scaled_lattice(scale_line: str, rows: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the (3, 3) lattice and the (3,) scale factors of Cartesian positions."""
    factors = _leading_floats(scale_line)
    vectors = [_leading_floats(row)[:3] for row in rows]
    if any(len(vector) < 3 for vector in vectors):
        raise StructureError(f"expected three numbers in each lattice line, got {rows}")
    lattice = np.array(vectors)
    if len(factors) >= 3:
        scale = np.array(factors[:3])
    elif factors and factors[0] < 0:
        with np.errstate(over="ignore", invalid="ignore"):
            volume = abs(float(np.linalg.det(lattice)))
        if not 0 < volume < math.inf:
            raise StructureError(f"singular lattice {lattice.tolist()}")
        scale = np.full(3, (-factors[0] / volume) ** (1 / 3))
    elif factors and factors[0] > 0:
        scale = np.full(3, factors[0])
    else:
        raise StructureError(f"expected a scale factor in line 2, got {scale_line!r}")
    with np.errstate(over="ignore"):
        return lattice * scale, scale


def _leading_floats(line: str) -> list[float]:
    """Return the finite numbers at the beginning of a line; comments may follow."""
    found: list[float] = []
    for word in line.split():
        try:
            number = float(_without_fortran_exponent(word))
        except ValueError:
            break
        if not math.isfinite(number):
            break
        found.append(number)
    return found


def _without_fortran_exponent(word: str) -> str:
    """Replace the exponent of double precision: 1.0D+00 is 1.0E+00."""
    return _FORTRAN_NUMBER.sub(r"\1E\2", word)


def _symbols(line: str) -> list[str]:
    symbols = line.split()
    return symbols[: symbols.index("!")] if "!" in symbols else symbols


def _following_symbols(body: list[str], counts: list[int]) -> list[str]:
    """Return the symbols that follow the positions of a VASP 4 file, one for each count."""
    symbols: list[str] = []
    start = 0
    for count in counts:
        rows = [line.split() for line in body[start : start + count]]
        # Flags of selective dynamics may stand between the numbers and the symbol.
        last = {next((word for word in row[3:] if word not in _FLAGS), "") for row in rows}
        if len(last) != 1 or "" in last:
            raise StructureError(
                "expected element symbols in line 6 of the POSCAR, got numbers (VASP 4); add the "
                f"line, or a symbol after each position; {count} positions have {sorted(last)}"
            )
        symbols += last
        start += count
    return symbols


def _counts(line: str, most: int) -> list[int]:
    """Return the number of sites per element; more sites than lines are refused unallocated."""
    counts = []
    for word in line.split():
        if not (word.isascii() and word.isdecimal() and len(word) < 10):
            break
        counts.append(int(word))
    if not counts or min(counts) == 0:
        raise StructureError(
            f"expected a positive number of sites per element in line 7, got {line!r}"
        )
    if sum(counts) > most:
        raise StructureError(f"expected {sum(counts)} lines of positions, got {most}: truncated?")
    return counts


def _positions(lines: list[str], n_sites: int) -> np.ndarray:
    words = [line.split()[:3] for line in lines[:n_sites]]
    if len(words) < n_sites or any(len(row) < 3 for row in words):
        complete = sum(len(row) == 3 for row in words)
        raise StructureError(f"expected {n_sites} lines of positions, got {complete}: truncated?")
    words = [[_without_fortran_exponent(word) for word in row] for row in words]
    try:
        return np.array(words, dtype=np.float64)
    except ValueError as error:
        raise StructureError(f"expected three numbers for each position: {error}") from error
