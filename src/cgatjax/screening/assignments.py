"""Numbered assignments of elements to site classes.

An assignment gives every class an element of its list. Numbers run like an odometer: the last class
changes fastest. Any range of numbers gives its assignments without enumerating those before, so
that an interrupted screening resumes at the next number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError
from cgatjax.structures.elements import SYMBOLS, atomic_number

MOST = 2**62
"""Limit of the number of assignments, which are counted in 64 bits."""


@dataclass(frozen=True)
class Assignments:
    """Cartesian product of the lists of elements of all site classes.

    Attributes:
      pools: distinct atomic numbers of each class.

    Raises:
      InputError: no class, an empty list, an element twice in one, or too many assignments.
    """

    pools: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.pools:
            raise InputError("expected at least one site class to put elements on, got none")
        for position, pool in enumerate(self.pools):
            if not pool or len(set(pool)) != len(pool):
                symbols = [SYMBOLS[number] for number in pool]
                raise InputError(
                    f"class {position}: expected a list of different elements, got {symbols}"
                )
        if self.n >= MOST:
            raise InputError(
                f"expected fewer than {MOST:.3g} assignments, got {self.n:.3g}; give shorter lists "
                "of elements"
            )

    @property
    def n(self) -> int:
        """Number of assignments."""
        return math.prod(len(pool) for pool in self.pools)

    def at(self, start: int, stop: int) -> np.ndarray:
        """Return (stop - start, classes) uint8 atomic numbers of the assignments start..stop - 1.

        >>> Assignments(((11, 19), (9, 17, 35))).at(2, 4).tolist()
        [[11, 35], [19, 9]]
        """
        if not 0 <= start <= stop <= self.n:
            raise InputError(f"expected numbers within 0..{self.n}, got {start}..{stop}")
        rest = np.arange(start, stop, dtype=np.int64)
        columns = []
        for pool in reversed(self.pools):
            rest, digit = np.divmod(rest, len(pool))
            columns.append(np.array(pool, np.uint8)[digit])
        return np.stack(columns[::-1], axis=1)


def elements_of(symbols: Sequence[str]) -> tuple[int, ...]:
    """Convert element symbols to atomic numbers.

    Raises:
      InputError: an unknown symbol, a repeated one, or no symbol.
    """
    numbers = tuple(atomic_number(symbol) for symbol in symbols)
    repeated = sorted({SYMBOLS[n] for n in numbers if numbers.count(n) > 1})
    if not numbers or repeated:
        raise InputError(
            f"expected different element symbols, got {repeated[0]!r} twice"
            if repeated
            else "expected at least one element symbol, got an empty list"
        )
    return numbers
