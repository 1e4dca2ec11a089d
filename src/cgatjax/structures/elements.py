"""Chemical elements: symbols, formulas and tables of feature vectors.

The default table, `matscholar.npz` beside this module, holds the 200 matscholar numbers of the 103
elements up to lawrencium (Weston et al., J. Chem. Inf. Model. 59 (2019) 3692), taken from
`element_representations/matscholar-embedding.json` of the ElementEmbeddings package, version 0.8.0
(MIT license, copyright (c) 2022 Materials Design Group), and rounded to float32. `periodic.npz` is
made by `tests/structures/periodic_vectors.py`.
"""

import functools
import hashlib
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgatjax.errors import InputError, StructureError
from cgatjax.runtime import reading

SYMBOLS: tuple[str, ...] = (
    "",
    *"H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn".split(),
    *"Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba".split(),
    *"La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb".split(),
    *"Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr".split(),
)
"""Symbols by atomic number, 1..103; the first is empty, as no element has the number 0."""

_MOST_BYTES = 2**26
"""Decompressed size limit of an element table in npz format."""

_BY_ELECTRONEGATIVITY = (
    "Fr Cs K Rb Ba Ra Na Sr Li Ca Ac La Tb Yb Ce Pm Pr Nd Sm Eu Gd Dy Y Ho Er Tm Lu Pu Am Bk Cf Cm "
    "Es Fm Hf Lr Md No Th Mg Zr Np Sc U Pa Ta Ti Mn Be Nb Al Tl V Zn Cr Cd In Ga Fe Co Cu Re Si Tc "
    "Ni Ag Sn Hg Po Ge Bi B Sb Te Mo As P At H Ir Os Pd Rn Ru Pt Rh Pb W Au C Se S Xe I Br Kr N Cl "
    "O F Ar He Ne"
).split()
"""Symbols by Pauling electronegativity, equal ones by name; those without one are the last."""
_ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS) if symbol}
_ATOMIC_NUMBERS_WITH_ISOTOPES = {**_ATOMIC_NUMBERS, "D": 1, "T": 1}


def atomic_number(symbol: str) -> int:
    """Return the atomic number of a symbol; deuterium "D" and tritium "T" are hydrogen.

    StructureError for anything but H..Lr (no spaces or charges are stripped).
    """
    try:
        return _ATOMIC_NUMBERS_WITH_ISOTOPES[symbol]
    except (KeyError, TypeError):
        raise StructureError(
            f"unknown element {symbol!r}; expected a symbol H..Lr (or D, T)"
        ) from None


def formula_terms(formula: str) -> list[tuple[str, int]]:
    """Split a reduced formula into symbols and counts: "O3SrTi" gives O 3, Sr 1, Ti 1."""
    terms = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    return [(symbol, int(count or 1)) for symbol, count in terms]


def readable_formula(formula: str) -> str:
    """Order the symbols of a formula by electronegativity: "O3SrTi" gives "SrTiO3"."""
    terms = re.findall(r"([A-Z][a-z]?)([\d.]*)", formula)
    ordered = sorted(terms, key=lambda term: _BY_ELECTRONEGATIVITY.index(term[0]))
    return "".join(symbol + amount for symbol, amount in ordered)


def reduced_formula(
    atomic_numbers: Sequence[int] | np.ndarray, counts: Sequence[int] | np.ndarray | None = None
) -> str:
    """Return the composition as a key: alphabetical symbols, counts divided by their gcd.

    SrTiO3 gives "O3SrTi". Equal compositions give equal keys. pymatgen's reduced formula differs:
    it orders by electronegativity, as `readable_formula` does, and keeps diatomic molecules ("O2").

    `counts` are the numbers of sites of (n,) atomic numbers, which may repeat; one each by default.
    StructureError without any, or for one outside of 1..103.
    """
    numbers = np.asarray(atomic_numbers).tolist()
    amounts = [1] * len(numbers) if counts is None else np.asarray(counts).tolist()
    totals: dict[int, int] = {}
    for number, amount in zip(numbers, amounts, strict=True):
        totals[number] = totals.get(number, 0) + amount
    if not totals or min(totals) < 1 or max(totals) >= len(SYMBOLS):
        raise StructureError(f"expected atomic numbers in 1..103, got {sorted(totals)}")
    divisor = math.gcd(*totals.values())
    terms = sorted((SYMBOLS[number], total // divisor) for number, total in totals.items())
    return "".join(symbol if n == 1 else f"{symbol}{n}" for symbol, n in terms)


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Table of one feature vector per chemical element.

    Two tables are equal if their names and vectors are.

    Attributes:
      name: name of the table in messages and stores.
      vectors: (104, dim) float32, row = atomic number; row 0 (padding) and rows of elements
        without a vector are zero.
      known: (104,) bool, True for elements with a vector.
    """

    name: str
    vectors: np.ndarray
    known: np.ndarray

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):  # infinities are found below
            vectors = np.array(self.vectors, dtype=np.float32)
        known = np.array(self.known, dtype=bool)
        rows = len(SYMBOLS)
        if vectors.ndim != 2 or vectors.shape[0] != rows or vectors.shape[1] == 0:
            raise InputError(f"{self.name}: expected ({rows}, dim) vectors, got {vectors.shape}")
        if known.shape != (rows,) or known[0] or not known.any():
            raise InputError(f"{self.name}: expected ({rows},) flags, some set, the first one not")
        if not np.isfinite(vectors).all() or vectors[~known].any():
            raise InputError(f"{self.name}: expected finite vectors, zero where there is none")
        for array in (vectors, known):
            array.setflags(write=False)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "known", known)

    def __repr__(self) -> str:
        n, width = int(self.known.sum()), self.vectors.shape[1]
        return f"ElementTable({self.name!r}, {n} elements, {width} numbers each)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ElementTable):
            return NotImplemented
        return (self.name, self.digest()) == (other.name, other.digest())

    def __hash__(self) -> int:
        return hash((self.name, self.digest()))

    @property
    def dim(self) -> int:
        """Length of an element vector."""
        return self.vectors.shape[1]

    def digest(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of the vectors (platform independent)."""
        content = hashlib.sha256(f"{self.vectors.shape}".encode())
        content.update(self.vectors.astype("<f4").tobytes())
        content.update(self.known.tobytes())
        return content.hexdigest()[:16]

    def missing(self, atomic_numbers: np.ndarray) -> list[str]:
        """Return the sorted symbols of (n,) atomic numbers 1..103 without a vector."""
        numbers = np.unique(np.asarray(atomic_numbers, dtype=np.int64))
        return sorted(SYMBOLS[z] for z in numbers[~self.known[numbers]].tolist())

    @classmethod
    def from_vectors(cls, name: str, vectors: Mapping[str, Sequence[float]]) -> "ElementTable":
        """Make a table from a mapping of symbol to vector.

        Raises:
          InputError: unknown symbol, vectors of different lengths, numbers that are not finite.
        """
        unknown = sorted(set(vectors) - set(_ATOMIC_NUMBERS))
        if unknown or not vectors:
            raise InputError(f"{name}: expected element symbols H..Lr, got {unknown or 'nothing'}")
        try:
            rows = {s: np.asarray(v, dtype=np.float64).reshape(-1) for s, v in vectors.items()}
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: expected a list of numbers per element: {error}") from error
        lengths = sorted({len(row) for row in rows.values()})
        if len(lengths) != 1:
            raise InputError(f"{name}: expected vectors of one length, got lengths {lengths}")
        table = np.zeros((len(SYMBOLS), lengths[0]))
        known = np.zeros(len(SYMBOLS), dtype=bool)
        for symbol, row in rows.items():
            if not np.isfinite(row).all():
                raise InputError(f"{name}: the vector of {symbol} holds NaN or infinity")
            table[_ATOMIC_NUMBERS[symbol]] = row
            known[_ATOMIC_NUMBERS[symbol]] = True
        return cls(name=name, vectors=table, known=known)

    @classmethod
    def matscholar(cls) -> "ElementTable":
        """Return the default table: 200 matscholar features of each of 103 elements (cached)."""
        return _shipped("matscholar")

    @classmethod
    def periodic(cls) -> "ElementTable":
        """Return a table of 117 zeros and ones: group, period, valence electrons ... (cached)."""
        return _shipped("periodic")

    @classmethod
    def named(cls, name: str) -> "ElementTable":
        """Return a table by its name in `ModelConfig.elements`.

        Args:
          name: "matscholar", "periodic", or "both": the two side by side, with matscholar's numbers
            scaled to a standard deviation of 1. As published they are so small (0.07) that the
            elements hardly differ at the start of a training.

        Raises:
          InputError: another name.
        """
        if name not in ("matscholar", "periodic", "both"):
            raise InputError(f"expected the element table matscholar, periodic or both: {name!r}")
        return _both() if name == "both" else _shipped(name)

    @classmethod
    def load(cls, path: str | Path) -> "ElementTable":
        """Read a table; its name is the file's stem.

        Args:
          path: JSON {symbol: [numbers]}; CSV rows `symbol,number,number,...`, a header is allowed;
            or npz with `symbols` (n,) and `vectors` (n, dim).

        Raises:
          InputError: missing or damaged file, unknown suffix, or see `from_vectors`.
        """
        path = Path(path)
        readers = {".json": _json_vectors, ".csv": _csv_vectors, ".npz": _npz_vectors}
        if path.suffix not in readers:
            raise InputError(f"{path}: expected one of {sorted(readers)}, got {path.suffix!r}")
        with reading(path, "an element table"):
            return cls.from_vectors(path.stem, readers[path.suffix](path))


def _without_repeats(pairs: Sequence[tuple[str, list[float]]]) -> dict[str, list[float]]:
    vectors = dict(pairs)
    if len(vectors) != len(pairs):
        raise ValueError("an element appears twice")
    return vectors


def _json_vectors(path: Path) -> dict[str, list[float]]:
    vectors = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    if not isinstance(vectors, dict):
        raise TypeError(f"expected an object {{symbol: [numbers]}}, got {type(vectors).__name__}")
    return vectors


def _csv_vectors(path: Path) -> dict[str, list[float]]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    if rows and rows[0][0].lower() in ("", "element", "symbol"):
        rows = rows[1:]
    return _without_repeats([(row[0], [float(cell) for cell in row[1:]]) for row in rows])


def _npz_vectors(path: Path) -> dict[str, list[float]]:
    with open(path, "rb") as file:
        size = sum(member.file_size for member in zipfile.ZipFile(file).infolist())
        if size > _MOST_BYTES:
            raise ValueError(f"its arrays have {size} bytes, more than any element table")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            pairs = zip(arrays["symbols"].tolist(), arrays["vectors"].tolist(), strict=True)
            return _without_repeats(list(pairs))


@functools.cache
def _shipped(name: str) -> ElementTable:
    return ElementTable.load(Path(__file__).with_name(f"{name}.npz"))


@functools.cache
def _both() -> ElementTable:
    first, second = _shipped("periodic"), _shipped("matscholar")
    scaled = second.vectors / second.vectors[second.known].std()
    return ElementTable(
        name="both",
        vectors=np.concatenate([first.vectors, scaled], axis=1),
        known=first.known & second.known,
    )
