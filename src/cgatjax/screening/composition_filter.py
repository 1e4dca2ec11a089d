"""Filters of compositions: elements, charge neutrality, electronegativity, a custom function."""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cgatjax.errors import ConfigError
from cgatjax.options import Options
from cgatjax.screening.oxidation_states import neutral, ordered
from cgatjax.structures import SYMBOLS

Test = Callable[[tuple[str, ...], tuple[int, ...]], bool]
"""(element symbols, numbers of sites) by site class -> True to predict the composition."""

REASONS = (
    "kept",
    "element not allowed",
    "same element on two classes",
    "too few elements",
    "no choice of oxidation states is neutral",
    "no neutral choice has all cations less electronegative than all anions",
    "refused by the function",
    "same crystal as another assignment",
    "element never seen in training",
)
"""Outcomes of the filters, indexed by the codes of `CompositionFilter.codes`."""
KEPT, NOT_ALLOWED, REPEATED, TOO_FEW, CHARGED, UNORDERED, REFUSED, EQUIVALENT, UNSEEN = range(
    len(REASONS)
)


@dataclass(frozen=True, kw_only=True)
class CompositionFilter(Options):
    """Conditions on compositions; the defaults keep everything.

    Attributes:
      allowed: symbols of allowed elements; empty for all.
      forbidden: symbols of forbidden elements.
      distinct: require a different element on each site class.
      min_elements: minimum number of distinct elements.
      charge: "any"; "neutral": some combination of oxidation states sums to zero; "ordered": and in
        this combination every cation is less electronegative than every anion.
      states: table of oxidation states, "icsd" (occurring in the ICSD) or "common".
      unseen: symbols of elements that the model was never trained on; `screen` fills them in.
      function: custom test as "module:function", called with the symbols and the numbers of sites
        of the classes; True keeps the composition.
    """

    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    distinct: bool = False
    min_elements: int = 1
    charge: Literal["any", "neutral", "ordered"] = "any"
    states: Literal["icsd", "common"] = "icsd"
    function: str = ""

    def _check(self) -> None:
        for name in ("allowed", "forbidden", "unseen"):
            known = set(getattr(self, name)) <= set(SYMBOLS[1:])
            self._require(known, name, "element symbols H..Lr")
        self._require(self.min_elements >= 1, "min_elements", "at least 1")
        if self.function:
            load_function(self.function)

    def codes(self, numbers: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the first failed test of each composition.

        Args:
          numbers: (m, classes) uint8 atomic numbers.
          counts: (classes,) number of sites in each class.

        Returns:
          (m,) int, indices into `REASONS`; 0 if all tests pass.

        Raises:
          ConfigError: the custom function returns anything but True or False.
        """
        codes = np.zeros(len(numbers), np.int64)
        for code, passes in self._tests():
            passed = np.flatnonzero(codes == KEPT)
            if len(passed):
                codes[passed[~passes(numbers[passed], counts)]] = code
        return codes

    def _tests(self) -> list[tuple[int, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
        tests: list[tuple[int, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = []
        if self.allowed or self.forbidden:
            tests.append((NOT_ALLOWED, lambda z, counts: _may_occur(self)[z].all(1)))
        if self.unseen:
            seen = ~np.isin(SYMBOLS, list(self.unseen))
            tests.append((UNSEEN, lambda z, counts: seen[z].all(1)))
        if self.distinct:
            tests.append((REPEATED, lambda z, counts: n_distinct(z) == z.shape[1]))
        if self.min_elements > 1:
            tests.append((TOO_FEW, lambda z, counts: n_distinct(z) >= self.min_elements))
        if self.charge != "any":
            tests.append((CHARGED, functools.partial(neutral, states=self.states)))
        if self.charge == "ordered":
            tests.append((UNORDERED, functools.partial(ordered, states=self.states)))
        if self.function:
            tests.append((REFUSED, functools.partial(_accepted, self.function)))
        return tests


def equivalent_to_another(
    numbers: np.ndarray, pools: tuple[tuple[int, ...], ...], permutations: np.ndarray
) -> np.ndarray:
    """Mark (m,) assignments that equal an earlier assignment of the same product, in the order of
    lists.

    `numbers` are (m, classes) atomic numbers, each from the pool of its class; `permutations` are
    (p, classes) of equivalent classes, closed under composition.
    """
    place = np.full((len(pools), len(SYMBOLS)), -1)
    for c, pool in enumerate(pools):
        place[c, list(pool)] = np.arange(len(pool))
    classes = np.arange(len(pools))
    own = place[classes, numbers]
    found = np.zeros(len(numbers), bool)
    for permutation in permutations:
        other = place[classes, numbers[:, permutation]]
        differs = other != own
        first = differs.argmax(1)[:, None]
        is_less = np.take_along_axis(other < own, first, 1)[:, 0] & differs.any(1)
        found |= is_less & (other >= 0).all(1)
    return found


def n_distinct(numbers: np.ndarray) -> np.ndarray:
    """Count the distinct elements in each row of (m, classes) atomic numbers."""
    ranked = np.sort(numbers, axis=1)
    distinct: np.ndarray = 1 + (ranked[:, 1:] != ranked[:, :-1]).sum(1)
    return distinct


@functools.lru_cache(maxsize=8)
def _may_occur(options: CompositionFilter) -> np.ndarray:
    """Tabulate the allowed elements as (104,) bool by atomic number."""
    names = [s in options.allowed if options.allowed else True for s in SYMBOLS]
    return np.array(names) & ~np.isin(SYMBOLS, list(options.forbidden))


def _accepted(function: str, numbers: np.ndarray, counts: np.ndarray) -> np.ndarray:
    test, amounts = load_function(function), tuple(counts.tolist())
    answers = []
    for row in numbers.tolist():
        symbols = tuple(SYMBOLS[z] for z in row)
        answers.append(test(symbols, amounts))
        if not isinstance(answers[-1], bool | np.bool_):
            raise ConfigError(
                f"{function}({symbols}, {amounts}): expected True or False, got {answers[-1]!r:.80}"
            )
    return np.array(answers, bool)


@functools.lru_cache(maxsize=8)
def load_function(name: str) -> Test:
    """Import the function "module:function", or raise ConfigError."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"function {name!r}: expected MODULE:FUNCTION that Python can import: {error}; "
            "add the folder of your own file to PYTHONPATH"
        ) from error
    if not callable(found):
        raise ConfigError(f"function {name!r}: expected a function, got {type(found).__name__}")
    test: Test = found
    return test
