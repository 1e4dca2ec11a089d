"""Built-in synthetic data set: ionic crystals with energies and volumes at two fidelities.

All programs run and are tested with it without a download, in the situation of Hoffmann et al.
2023: many low-fidelity labels and few high-fidelity ones for the same crystals. It is a model, no
substitute for experiment or density-functional theory: hard ions with formal charges on ideal
structure types with one free scale.

Properties: "e-form@low", "e-form@high" in eV/atom, "volume@low", "volume@high" in A^3/atom. The
structure is the low-fidelity equilibrium. Energies and volumes are computed in `born_lande`,
reference energies in `formation_energies`; `decorations` selects the crystals.
"""

from collections.abc import Sequence

import numpy as np

from cgatjax.errors import ConfigError, TargetError
from cgatjax.structures import SYMBOLS, Crystal
from cgatjax.synthetic.decorations import Decorations, population

TARGETS = ("e-form@low", "e-form@high", "volume@low", "volume@high")
"""Names of the properties of every crystal."""


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
    """Generate ionic crystals with formation energies and volumes at two fidelities.

    Crystals are deterministic: `n` crystals are the first `n` of all crystals in the order that the
    seed gives. The id and the properties of a crystal do not depend on the arguments.

    Args:
      n: number of crystals; None for all.
      seed: random seed of the order.

    Returns:
      `n` crystals of 2 to 18 sites, with the properties of `TARGETS`.

    Raises:
      ConfigError: `n` is negative or larger than the number of crystals, or the seed is negative.
    """
    blocks = population()
    total = sum(len(block) for block in blocks)
    if n is not None and not 0 <= n <= total:
        raise ConfigError(f"n: expected 0..{total} crystals, or None for all {total}; got {n}")
    if seed < 0:
        raise ConfigError(f"seed: expected a non-negative integer, got {seed}")
    entries = [(block, index) for block in blocks for index in range(len(block))]
    order = np.random.default_rng(seed).permutation(total)[:n]
    return [_crystal(*entries[k]) for k in order]


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _atomic_fractions(crystals: Sequence[Crystal]) -> np.ndarray:
    """Compute (m, elements) atomic fractions of the elements that occur."""
    n_sites = np.array([crystal.n_sites for crystal in crystals])
    numbers = np.concatenate([crystal.atomic_numbers for crystal in crystals])
    fractions = np.zeros((len(crystals), len(SYMBOLS)))
    np.add.at(fractions, (np.repeat(np.arange(len(crystals)), n_sites), numbers), 1.0)
    fractions /= n_sites[:, None]
    present: np.ndarray = fractions[:, fractions.any(axis=0)]
    return present


def _residual_std(features: np.ndarray, values: np.ndarray) -> float:
    """Compute the standard deviation of the residuals of a linear fit without intercept."""
    solution = np.linalg.lstsq(features, values, rcond=None)[0]
    return float((values - features @ solution).std())


def _values(crystals: Sequence[Crystal], name: str) -> np.ndarray:
    values = np.array([crystal.targets.get(name, np.nan) for crystal in crystals])
    missing = [c.id for c, value in zip(crystals, values, strict=True) if not np.isfinite(value)]
    if missing:
        raise TargetError(
            f"{name!r}: expected a value for every crystal, {len(missing)} have none, the first "
            f"is {missing[0]!r}; leave them out"
        )
    return values


def fidelity_report(crystals: Sequence[Crystal]) -> dict[str, dict[str, float]]:
    """Compare the two fidelities: correlations, and standard deviations left by linear fits.

    Args:
      crystals: crystals with the properties of `TARGETS`, at least two of different composition.

    Returns:
      for "e-form" (eV/atom) and "volume" (A^3/atom):
        pearson, spearman: correlation of low and high;
        std: standard deviation of high;
        std_composition: residual standard deviation of high, fitted by atomic fractions;
        std_difference: standard deviation of high - low;
        std_learnable: residual standard deviation of high - low, fitted by atomic fractions;
        std_learnable_scaled: residual standard deviation of high, fitted by atomic fractions and
          low.

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
            "std_composition": _residual_std(fractions, high),
            "std_difference": float((high - low).std()),
            "std_learnable": _residual_std(fractions, high - low),
            "std_learnable_scaled": _residual_std(np.column_stack([fractions, low]), high),
        }
    return report
