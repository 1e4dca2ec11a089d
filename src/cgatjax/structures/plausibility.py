"""Choice of crystals by label; plausibility: closest sites, totals among values per atom."""

import dataclasses
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cgatjax.errors import ConfigError, InputError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.distances import closest_pair
from cgatjax.structures.elements import SYMBOLS
from cgatjax.structures.properties import unit_of

logger = logging.getLogger("cgatjax")

MIN_DISTANCE = 0.5
"""Angstrom; the closest atoms of real crystals, in H2, are 0.74 apart."""

_LARGEST_MEAN = 20.0
"""eV/atom; energies per atom of pseudopotential codes are smaller, those of cells are not."""

_ENOUGH = 10
"""Fewest values for a warning about their mean."""


def check_options(min_distance: float, per_atom: Sequence[str]) -> None:
    """Check the options of `plausible`, or raise ConfigError."""
    if not 0 <= min_distance < math.inf:
        raise ConfigError(f"min_distance: expected a distance in angstrom, got {min_distance!r}")
    if isinstance(per_atom, str):
        raise ConfigError(f"per_atom: expected a list of property names, got {per_atom!r}")


def labeled_as(
    crystals: Iterable[Crystal | Rejected], where: Mapping[str, str]
) -> Iterator[Crystal | Rejected]:
    """Yield the crystals with given labels (any case), and all that are rejected; log how many are
    not.

    A crystal without one of the labels is a ConfigError.
    """
    left_out = 0
    for item in crystals:
        if isinstance(item, Crystal) and where:
            if missing := sorted(set(where) - set(item.labels)):
                raise ConfigError(
                    f"{item.id!r} in {item.source}: no label {missing[0]!r} to choose by; its "
                    f"labels are {dict(item.labels) or 'none'}"
                )
            if any(item.labels[k].lower() != str(v).lower() for k, v in where.items()):
                left_out += 1
                continue
        yield item
    if where:
        chosen = ", ".join(f"{name}={value}" for name, value in where.items())
        logger.info("%s crystals left out, not %s", f"{left_out:,}", chosen)


def plausible(
    crystals: Iterable[Crystal | Rejected], min_distance: float, per_atom: Sequence[str]
) -> Iterator[Crystal | Rejected]:
    """Reject crystals with sites closer than `min_distance` angstrom, divide totals, warn of
    others.

    Properties in `per_atom` are divided by the number of sites: an InputError if they are per atom.
    """
    sums: dict[str, tuple[int, float]] = {}
    for item in crystals:
        if isinstance(item, Crystal):
            reason = _too_close(item, min_distance)
            if reason is not None:
                yield Rejected(id=item.id, source=item.source, reason=reason)
                continue
            if per_atom:
                item = _divided(item, per_atom)
            _add(sums, item)
        yield item
    for name, (n, total) in sums.items():
        if n >= _ENOUGH and abs(total / n) > _LARGEST_MEAN:
            logger.warning(
                "%s has a mean of %.4g eV/atom: energies of whole cells? Divide them with per_atom",
                name,
                total / n,
            )


def _too_close(crystal: Crystal, min_distance: float) -> str | None:
    pair = closest_pair(crystal.lattice, crystal.frac_coords, min_distance)
    if pair is None:
        return None
    first, second = (f"{index} ({SYMBOLS[crystal.atomic_numbers[index]]})" for index in pair[:2])
    both = f"site {first} and its image" if first == second else f"sites {first} and {second}"
    return (
        f"{both} are {pair.distance:.3f} A apart; expected at least {min_distance:g} A "
        "(min_distance, --min-distance)"
    )


def _divided(crystal: Crystal, names: Sequence[str]) -> Crystal:
    targets, units = dict(crystal.targets), dict(crystal.units)
    for name in names:
        if name not in targets:
            continue
        unit = units.get(name, unit_of(name))
        if unit.endswith("/atom"):
            raise InputError(f"{crystal.id!r}: {name!r} is in {unit} already; not to be divided")
        targets[name] /= crystal.n_sites
        units[name] = f"{unit.removesuffix('/cell')}/atom" if unit else ""
    return dataclasses.replace(crystal, targets=targets, units=units)


def _add(sums: dict[str, tuple[int, float]], crystal: Crystal) -> None:
    for name, value in crystal.targets.items():
        unit = crystal.units.get(name) or unit_of(name)
        if unit == "eV/atom" and math.isfinite(value):
            n, total = sums.get(name, (0, 0.0))
            sums[name] = (n + 1, total + value)
