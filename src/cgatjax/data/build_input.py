"""Input of a build: crystals with the properties that become targets, and their units."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from cgatjax.data.store_writer import ordered, unit_for
from cgatjax.errors import ConfigError, TargetError
from cgatjax.structures import Crystal, Rejected, check_target_names, unit_of
from cgatjax.structures.inputs import property_advice
from cgatjax.structures.plausibility import MIN_DISTANCE
from cgatjax.structures.readers import read_crystals, with_cell_volume

logger = logging.getLogger("cgatjax")
EARLY = 1000
"""Crystals after which a target without any value causes a warning."""


@dataclass(frozen=True)
class BuildInput:
    """Input of a build and the properties that become targets; fields as in `build_store`."""

    inputs: Any
    properties: str | Path | None
    targets: Sequence[str] | None
    given_units: Mapping[str, str] | None
    min_distance: float = MIN_DISTANCE
    per_atom: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    found_units: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def named(self) -> list[str]:
        """Targets that must have a value."""
        return list(self.targets or ())

    @property
    def units(self) -> dict[str, str]:
        """Given units, and those found so far."""
        return {**self.found_units, **(self.given_units or {})}

    @property
    def options(self) -> dict[str, Any]:
        """Options that decide the targets of a row."""
        return {
            "targets": None if self.targets is None else list(self.targets),
            "units": self.units,
            "min_distance": self.min_distance,
            "per_atom": list(self.per_atom),
            "where": dict(self.where),
            "rename": dict(self.rename),
        }

    def read(self) -> Iterator[Crystal | Rejected]:
        """Read the crystals, with new names; without named targets, the volume of the cell is one.

        ConfigError if two properties get one name.
        """
        names = check_target_names(self.targets)
        if names is not None:
            old = {new: name for name, new in self.rename.items()}
            names = tuple(old.get(name, name) for name in names)
        found = read_crystals(
            self.inputs,
            targets=names,
            properties=self.properties,
            min_distance=self.min_distance,
            per_atom=self.per_atom,
            where=self.where,
        )
        found = map(self._renamed, found) if self.rename else found
        return self._noted(map(with_cell_volume, found) if names is None else found)

    def _renamed(self, item: Crystal | Rejected) -> Crystal | Rejected:
        """Return a crystal with new names of properties, which keep their units and origins."""
        if isinstance(item, Rejected):
            return item
        new = {name: self.rename.get(name, name) for name in item.targets}
        if len(set(new.values())) != len(new):
            raise ConfigError(
                f"{item.id!r} in {item.source}: rename {dict(self.rename)} gives two of its "
                f"properties {sorted(new)} one name"
            )
        return replace(
            item,
            targets={new[name]: value for name, value in item.targets.items()},
            units={new[name]: item.units.get(name, unit_of(name)) for name in new},
            origins={new[name]: text for name, text in item.origins.items() if name in new},
        )

    def _noted(self, crystals: Iterator[Crystal | Rejected]) -> Iterator[Crystal | Rejected]:
        """Yield the same items; collect units and origins of properties."""
        for item in crystals:
            if isinstance(item, Crystal):
                for name in (name for name, value in item.targets.items() if isfinite(value)):
                    self._note(item, name)
            yield item

    def _note(self, crystal: Crystal, name: str) -> None:
        """Note unit and calculator of a property of a crystal, which are those of all crystals."""
        what = f"{crystal.id!r} in {crystal.source}: {name!r}"
        unit = crystal.units.get(name, unit_of(name))
        known = self.found_units.setdefault(name, unit)
        if known != unit and name not in (self.given_units or {}):
            raise ConfigError(
                f"{what} is in {unit or '?'}, in crystals before in {known or '?'}; convert one of "
                "them, or give the unit (units)"
            )
        origin = crystal.origins.get(name, "")
        known = self.origins.setdefault(name, origin)
        if known != origin:
            raise ConfigError(
                f"{what} was computed by {origin or 'an unknown calculator'}, that of crystals "
                f"before by {known or 'an unknown calculator'}; label all of them with one "
                "calculator"
            )

    def warned(self, crystals: Iterator[Crystal]) -> Iterator[Crystal]:
        """Yield the same crystals; check once whether the first of them lack a named target."""
        missing = set(self.named)
        for number, crystal in enumerate(crystals, 1):
            missing -= {name for name, value in crystal.targets.items() if isfinite(value)}
            yield crystal
            if number == EARLY and missing:
                self._look_ahead(missing)

    def _look_ahead(self, missing: set[str]) -> None:
        """Warn of targets that the first crystals lack, and read on for them before featurizing."""
        logger.warning(
            "none of the first %s crystals has a value of target(s) %s; %s; reading continues",
            f"{EARLY:,}", sorted(missing), self._found_properties(),
        )  # fmt: skip
        if isinstance(self.inputs, Iterator):  # cannot be read twice
            return
        absent = set(missing)
        for item in self.read():
            if isinstance(item, Crystal):
                absent -= {name for name, value in item.targets.items() if isfinite(value)}
            if not absent:
                return
        raise self._missing(sorted(absent))

    def _missing(self, names: Sequence[str]) -> TargetError:
        return TargetError(
            f"no crystal has a value for target(s) {list(names)}; {self._found_properties()}"
        )

    def stored_units(self, known: set[str]) -> dict[str, str]:
        """Return the targets of the store with their units.

        TargetError if a named target is not `known`, which means with a value in some row.
        """
        if missing := [name for name in self.named if name not in known]:
            raise self._missing(missing)
        names = ordered(known) if self.targets is None else self.named
        return {name: unit_for(name, self.units) for name in names}

    def _found_properties(self) -> str:
        """Describe the properties of the first crystals, for messages."""
        if isinstance(self.inputs, Iterator):  # cannot be read twice
            return "check the names of the properties"
        sample = islice(read_crystals(self.inputs, properties=self.properties), EARLY)
        names = {name for item in sample if isinstance(item, Crystal) for name in item.targets}
        if names:
            return f"the input has {sorted(names)}"
        return f"the input has none; {property_advice(self.inputs)}"
