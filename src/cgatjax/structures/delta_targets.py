"""Delta learning: differences between two properties of a crystal as a further target.

If the low-fidelity value is known for every crystal, also for those to be predicted, a network can
learn the far smaller correction to the high-fidelity value.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cgatjax.errors import ConfigError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.properties import check_target_names, unit_of

Differences = Mapping[str, tuple[str, str]]
"""New property -> (minuend, subtrahend)."""


def with_differences(
    crystals: Iterable[Crystal | Rejected],
    differences: Differences,
    targets: Sequence[str] | None = None,
) -> Iterator[Crystal | Rejected]:
    """Add differences to the properties of crystals, NaN where a value is unknown.

    Args:
      crystals: crystals with both properties of each difference.
      differences: name -> (minuend, subtrahend).
      targets: further properties to keep; None keeps them all.

    Raises:
      ConfigError: a difference has the name of an existing property.

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
                    f"{item.id}: properties {taken} already exist; give the differences other names"
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


def properties_to_read(targets: Sequence[str] | None, differences: Differences) -> list[str] | None:
    """Return the properties to read for targets and differences; None for all of them.

    Raises:
      InputError: `targets` is not a list of distinct names.
    """
    names = check_target_names(targets)
    if names is None:
        return None
    pairs = [name for pair in differences.values() for name in pair]
    return list(dict.fromkeys(name for name in (*names, *pairs) if name not in differences))


def units_with(units: Mapping[str, str] | None, differences: Differences) -> dict[str, str]:
    """Return the given units and those of the differences, taken from their two properties.

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
