"""Summary of structure files before a store is built: properties, units, functionals, totals."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgatjax.errors import InputError
from cgatjax.runtime.progress import progress
from cgatjax.structures import SYMBOLS, Crystal, Rejected, unit_of
from cgatjax.structures.archives.contracts import Contract
from cgatjax.structures.archives.json_files import contract_of_file
from cgatjax.structures.archives.parquet import contract_of_parquet
from cgatjax.structures.inputs import SourceFile, resolve
from cgatjax.structures.readers import read_crystals

LARGEST_PER_ATOM = 20.0
"""eV/atom; larger mean energies are those of cells."""

_ENOUGH = 10
"""Fewest values for a judgement on totals."""

_TOTAL = 0.5
"""Correlation with the number of sites above which magnitudes are those of cells."""

_EXAMPLES = 3


@dataclass
class PropertySummary:
    """Statistics of a property, of its known values.

    Attributes:
      name: name of the property.
      unit: unit, "" if it is unknown.
      known: number of values.
      minimum, maximum: range.
    """

    name: str
    unit: str
    known: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    _sums: list[float] = field(default_factory=lambda: [0.0] * 10, repr=False)

    def add(self, value: float, sites: int, volume: float) -> None:
        """Add the value of a crystal."""
        self.known += 1
        self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)
        size = abs(value)
        of_value = (value, value * value, size, size * size)
        of_sites = (float(sites), float(sites * sites), size * sites)
        share = size / sites
        for k, term in enumerate((*of_value, *of_sites, abs(size - volume), share, share * share)):
            self._sums[k] += term

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return self._sums[0] / self.known

    @property
    def std(self) -> float:
        """Standard deviation of the values (n)."""
        return math.sqrt(max(0.0, self._sums[1] / self.known - self.mean**2))

    @property
    def correlation(self) -> float:
        """Correlation of magnitude and number of sites, 0 for values that are all equal."""
        n, (s, ss, t, tt, st) = self.known, self._sums[2:7]
        spread = math.sqrt(max(0.0, ss / n - (s / n) ** 2) * max(0.0, tt / n - (t / n) ** 2))
        return (st / n - s * t / n**2) / spread if spread > 0 else 0.0

    @property
    def _grows(self) -> bool:
        """True if magnitudes grow with the cell, and vary less when they are divided by its size.

        Values per atom vary more after the division.
        """
        whole, divided = (
            self.known * self._sums[k + 1] / max(self._sums[k] ** 2, 1e-300) for k in (2, 8)
        )
        return self.correlation > _TOTAL and divided < whole

    @property
    def suspicion(self) -> str:
        """Reason to take the values for totals of cells although their unit says no such thing."""
        if self.known < _ENOUGH or self.unit.endswith("/cell"):
            return ""
        if "volume" in self.name.lower() and self._sums[7] < 0.01 * self._sums[2]:
            return "equal to the volumes of the cells"
        if self.unit == "eV/atom" and abs(self.mean) > LARGEST_PER_ATOM:
            return f"a mean of {self.mean:.4g} eV/atom"
        if self.unit.endswith("/atom") and self._grows:
            return f"grows with the number of sites (correlation {self.correlation:.2f})"
        return ""


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSummary:
    """Content of structure files.

    Attributes:
      archives: name of the archive -> number of files that have its keys.
      contracts: contracts of these archives.
      n_crystals: number of usable crystals.
      n_rejected: number of unusable ones.
      rejected: the first of them.
      properties: statistics of each property, by name.
      labels: label -> value -> number of crystals, such as the functionals.
      elements: symbol -> number of crystals with it.
      sites: number of sites -> number of crystals.
    """

    archives: Mapping[str, int]
    contracts: Sequence[Contract]
    n_crystals: int
    n_rejected: int
    rejected: Sequence[Rejected]
    properties: Mapping[str, PropertySummary]
    labels: Mapping[str, Counter[str]]
    elements: Counter[str]
    sites: Counter[int]

    def sites_at(self, share: float) -> int:
        """Return the number of sites that a share of the crystals does not exceed."""
        below = 0
        for size, count in sorted(self.sites.items()):
            below += count
            if below >= share * self.n_crystals:
                return size
        return 0


def summarize_data(
    inputs: Any,
    *,
    properties: str | Path | None = None,
    where: Mapping[str, str] | None = None,
    show_progress: bool | None = None,
) -> DataSummary:
    """Read structure files and summarize them; memory does not grow with their size.

    Args:
      inputs: any input of `read_crystals` that can be read twice.
      properties: CSV file with the properties of CIF and POSCAR files.
      where: label -> value of the crystals to keep.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      InputError: see `read_crystals`.
      ConfigError: a crystal lacks a label that `where` names.
    """
    found = read_crystals(inputs, properties=properties, where=where)
    items = resolve(list(inputs) if isinstance(inputs, list | tuple) else [inputs])
    contracts = [c for c in map(_contract, items) if c is not None]
    summaries: dict[str, PropertySummary] = {}
    labels: dict[str, Counter[str]] = {}
    elements, sites, n_rejected = Counter[str](), Counter[int](), 0
    rejected: list[Rejected] = []
    with progress("read", shown=show_progress) as advance:
        for item in found:
            advance(1, f"{n_rejected} unusable")
            if isinstance(item, Rejected):
                n_rejected += 1
                rejected += [item] if len(rejected) < _EXAMPLES else []
                continue
            sites[item.n_sites] += 1
            elements.update(SYMBOLS[z] for z in set(item.atomic_numbers.tolist()))
            for name, value in item.labels.items():
                labels.setdefault(name, Counter())[value] += 1
            _add(summaries, item)
    if not sites and not n_rejected:
        raise InputError("no crystal in the input")
    return DataSummary(
        archives=Counter(contract.name for contract in contracts),
        contracts=list({contract.name: contract for contract in contracts}.values()),
        n_crystals=sites.total(),
        n_rejected=n_rejected,
        rejected=rejected,
        properties=dict(sorted(summaries.items())),
        labels=labels,
        elements=elements,
        sites=sites,
    )


def _add(summaries: dict[str, PropertySummary], crystal: Crystal) -> None:
    for name, value in crystal.targets.items():
        if not math.isfinite(value):
            continue
        unit = crystal.units.get(name, unit_of(name))
        known = summaries.setdefault(name, PropertySummary(name, unit))
        if known.unit != unit:
            known.unit = "several"
        known.add(value, crystal.n_sites, crystal.volume)


def _contract(item: Any) -> Contract | None:
    """Return the contract of a file, None for other formats and damaged files."""
    if not isinstance(item, SourceFile) or item.format not in ("json", "parquet"):
        return None
    try:
        read = contract_of_parquet if item.format == "parquet" else contract_of_file
        return read(item.path)
    except InputError:  # listed among the rejected ones
        return None
