"""All ways to put elements on classes of sites, counted, so that any of them can be had by number.

An assignment gives every class an element of its list. They are in the order of an odometer: the
last class changes fastest. Number and assignment determine each other, so nothing is enumerated
that is not asked for, and a run that was interrupted goes on at its number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError
from cgatjax.structures.elements import SYMBOLS, atomic_number

MOST = 2**62
"""Assignments are counted in 64 bits."""


@dataclass(frozen=True)
class Assignments:
    """The product of one list of elements a class.

    Attributes:
      pools: for each class its atomic numbers, none twice.

    Raises:
      InputError: no class, an empty list, an element twice in one, or too many assignments.
    """

    pools: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.pools:
            raise InputError("expected at least one class of sites to put elements on, got none")
        for position, pool in enumerate(self.pools):
            if not pool or len(set(pool)) != len(pool):
                symbols = [SYMBOLS[number] for number in pool]
                raise InputError(
                    f"class {position}: expected a list of different elements, got {symbols}"
                )
        if self.n >= MOST:
            raise InputError(
                f"{self.n:.3g} assignments are too many to count; give shorter lists of elements"
            )

    @property
    def n(self) -> int:
        """Number of assignments."""
        return math.prod(len(pool) for pool in self.pools)

    def at(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, classes) uint8 atomic numbers of the assignments start..stop - 1.

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

    def index_of(self, numbers: Sequence[int]) -> int:
        """The number of an assignment, given as atomic numbers, one a class.

        >>> Assignments(((11, 19), (9, 17, 35))).index_of((19, 9))
        3

        Raises:
          InputError: it is not one of these.
        """
        if len(numbers) != len(self.pools):
            raise InputError(f"expected {len(self.pools)} elements, got {len(numbers)}")
        index = 0
        for number, pool in zip(numbers, self.pools, strict=True):
            if number not in pool:
                symbols = [SYMBOLS[n] for n in pool]
                raise InputError(f"expected one of {symbols}, got {SYMBOLS[number]!r}")
            index = index * len(pool) + pool.index(int(number))
        return index


def elements_of(symbols: Sequence[str]) -> tuple[int, ...]:
    """Atomic numbers of element symbols, in their order.

    Raises:
      InputError: an unknown symbol, one that stands twice, or none at all.
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
