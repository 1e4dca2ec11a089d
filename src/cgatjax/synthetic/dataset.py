"""A data set that the package makes itself: ionic crystals with energies at two fidelities.

It lets every program run and be tested without a download, with the paper's situation in small:
many cheap labels, few dear ones, the same crystals. It is a model world, no substitute for
experiment or density-functional theory: hard ions with formal charges on ideal structure types, one
free scale.

Properties, per atom: "e-form@low", "e-form@high" in eV/atom, "volume@low", "volume@high" in
A^3/atom. The structure is the cheap equilibrium. The physics stands in `born_lande` (energy and
volume) and `formation` (reference energies), the choice of crystals in `decorations`.
"""

from collections.abc import Sequence

import numpy as np

from cgatjax.errors import ConfigError, TargetError
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS
from cgatjax.synthetic.decorations import Decorations, population

TARGETS = ("e-form@low", "e-form@high", "volume@low", "volume@high")
"""Names of the properties that every crystal has."""


def _crystal(decorations: Decorations, index: int) -> Crystal:
    prototype = decorations.prototype
    return Crystal(
        id=f"{prototype.name}-{decorations.formula(index)}-{index + 1:04d}",
        lattice=prototype.lattice * decorations.scale[index],
        frac_coords=prototype.frac_coords.copy(),
        atomic_numbers=decorations.atomic_numbers[index][prototype.site_roles],
        targets={
            "e-form@low": float(decorations.e_form["low"][index]),
            "e-form@high": float(decorations.e_form["high"][index]),
            "volume@low": float(decorations.volume["low"][index]),
            "volume@high": float(decorations.volume["high"][index]),
        },
        source="ionic_crystals",
    )


def ionic_crystals(n: int | None = None, *, seed: int = 0) -> list[Crystal]:
    """Ionic crystals with formation energies and volumes at two fidelities.

    The same arguments give the same crystals; with one seed, fewer crystals are the first of more.
    A crystal's id and values do not depend on the arguments.

    Args:
      n: how many; None for all.
      seed: of the order, and so of the choice.

    Returns:
      `n` crystals of 2 to 18 sites, with the properties of `TARGETS`.

    Raises:
      ConfigError: `n` is negative or more than there are, or the seed is negative.
    """
    blocks = population()
    total = sum(len(block) for block in blocks)
    if n is not None and not 0 <= n <= total:
        raise ConfigError(f"n: expected 0..{total} crystals, or None for all {total}; got {n}")
    if seed < 0:
        raise ConfigError(f"seed: expected an integer that is not negative, got {seed}")
    places = [(block, index) for block in blocks for index in range(len(block))]
    order = np.random.default_rng(seed).permutation(total)[:n]
    return [_crystal(*places[k]) for k in order]


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _atomic_fractions(crystals: Sequence[Crystal]) -> np.ndarray:
    """(m, elements present) share of each element in each crystal."""
    n_sites = np.array([crystal.n_sites for crystal in crystals])
    numbers = np.concatenate([crystal.atomic_numbers for crystal in crystals])
    fractions = np.zeros((len(crystals), len(SYMBOLS)))
    np.add.at(fractions, (np.repeat(np.arange(len(crystals)), n_sites), numbers), 1.0)
    fractions /= n_sites[:, None]
    present: np.ndarray = fractions[:, fractions.any(axis=0)]
    return present


def _left_by_fit(features: np.ndarray, values: np.ndarray) -> float:
    """Standard deviation of what a linear fit without constant leaves."""
    solution = np.linalg.lstsq(features, values, rcond=None)[0]
    return float((values - features @ solution).std())


def _values(crystals: Sequence[Crystal], name: str) -> np.ndarray:
    values = np.array([crystal.targets.get(name, np.nan) for crystal in crystals])
    missing = [c.id for c, value in zip(crystals, values, strict=True) if not np.isfinite(value)]
    if missing:
        raise TargetError(
            f"{name!r}: expected a value for every crystal, {len(missing)} have none, the first "
            f"is {missing[0]!r}; leave these out"
        )
    return values


def fidelity_report(crystals: Sequence[Crystal]) -> dict[str, dict[str, float]]:
    """How much of the dear fidelity is left to learn for somebody who has the cheap one.

    Args:
      crystals: with the properties of `TARGETS`, at least two of different composition.

    Returns:
      for "e-form" (eV/atom) and "volume" (A^3/atom):
        pearson, spearman: correlation of cheap and dear;
        std: standard deviation of dear;
        std_composition: what a fit of dear by atomic fractions leaves;
        std_difference: standard deviation of dear - cheap;
        std_learnable: what a fit of dear - cheap by atomic fractions leaves;
        std_learnable_scaled: what is left of dear if cheap gets a free factor, too.

    Raises:
      TargetError: fewer than two crystals, or one has no finite value of a property.
    """
    if len(crystals) < 2:
        raise TargetError(f"expected at least two crystals to compare, got {len(crystals)}")
    fractions = _atomic_fractions(crystals)
    report = {}
    for name in ("e-form", "volume"):
        low, high = _values(crystals, f"{name}@low"), _values(crystals, f"{name}@high")
        report[name] = {
            "pearson": float(np.corrcoef(low, high)[0, 1]),
            "spearman": float(np.corrcoef(_ranks(low), _ranks(high))[0, 1]),
            "std": float(high.std()),
            "std_composition": _left_by_fit(fractions, high),
            "std_difference": float((high - low).std()),
            "std_learnable": _left_by_fit(fractions, high - low),
            "std_learnable_scaled": _left_by_fit(np.column_stack([fractions, low]), high),
        }
    return report
