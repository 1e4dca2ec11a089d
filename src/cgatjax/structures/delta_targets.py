"""Differences between two properties of a crystal, as a property of its own (delta learning).

Where the cheap value of every crystal is known, also of those to be predicted, a network can learn
what the accurate one adds to it; that is a far smaller number.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cgatjax.errors import ConfigError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.properties import check_target_names, unit_of

Differences = Mapping[str, tuple[str, str]]
"""New property -> (one, other): one less other."""


def with_differences(
    crystals: Iterable[Crystal | Rejected],
    differences: Differences,
    targets: Sequence[str] | None = None,
) -> Iterator[Crystal | Rejected]:
    """The same crystals with differences among their properties, NaN where a value is unknown.

    Args:
      crystals: with the properties that the differences are made of.
      differences: name -> (one, other).
      targets: further properties to keep; None keeps them all.

    Raises:
      ConfigError: a difference is called like a property that a crystal has.

    Examples:
      >>> from cgatjax.synthetic.dataset import ionic_crystals
      >>> crystals = ionic_crystals(1, seed=0)
      >>> [crystal] = with_differences(crystals, {"gain": ("e-form@high", "e-form@low")}, [])
      >>> list(crystal.targets)
      ['gain']
    """
    for item in crystals:
        if isinstance(item, Crystal) and differences:
            known = item.targets
            if taken := sorted(set(known) & set(differences)):
                raise ConfigError(
                    f"{item.id}: has properties {taken} already; give the differences other names"
                )
            kept = known
            if targets is not None:
                kept = {name: known[name] for name in targets if name not in differences}
            made = {
                name: known.get(one, math.nan) - known.get(other, math.nan)
                for name, (one, other) in differences.items()
            }
            item = dataclasses.replace(item, targets={**kept, **made})
        yield item


def ingredients(targets: Sequence[str] | None, differences: Differences) -> list[str] | None:
    """The properties to read for targets, of which differences may be some; None for all of them.

    Raises:
      InputError: the targets are no list of distinct names.
    """
    names = check_target_names(targets)
    if names is None:
        return None
    pairs = [name for pair in differences.values() for name in pair]
    return list(dict.fromkeys(name for name in (*names, *pairs) if name not in differences))


def units_with(units: Mapping[str, str] | None, differences: Differences) -> dict[str, str]:
    """Units of the differences, which are those of what they are made of, and the given ones.

    Raises:
      ConfigError: two properties of different units.
    """
    given = dict(units or {})
    found = {}
    for name, pair in differences.items():
        one, other = (given.get(part, unit_of(part)) for part in pair)
        if one != other:
            raise ConfigError(
                f"difference {name!r}: expected two properties of one unit, got {pair[0]!r} in "
                f"{one or '?'} and {pair[1]!r} in {other or '?'}"
            )
        found[name] = one
    return {**found, **given}
