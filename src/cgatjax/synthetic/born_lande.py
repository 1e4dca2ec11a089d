"""Born-Lande model of ionic crystals at two fidelities: lattice energies and equilibrium volumes.

A crystal of a prototype has one free parameter, the scale `a` in angstrom. All terms are powers of
a, so that the energy of one primitive cell, in eV, is a short sum

    E(a) = sum over p of c_p * a**-p,     p = 1 (electrostatics), 5..12 (repulsion), 6 (dispersion)

    c_1 =  1/2 k sum_ij q_i q_j phi_ij          k = 14.399645 eV angstrom, phi the Ewald sums
    c_n =  1/2 sum_ij B_ij S_n(i, j)            S_n(i, j) = sum of d**-n over images, at a = 1
    c_6 -= 1/2 sum_ij C_ij S_6(i, j)            fidelity "high" only

phi and S_n depend on the prototype only. Sites of one role carry equal ions, so the sums are first
accumulated by role, and i, j run over roles. At the equilibrium scale dE/da = 0 (zero pressure). A
Newton iteration in ln(a) finds it for all decorations of a prototype at once.

Repulsion of unlike charges: B is such that the two ions, in rocksalt with nearest neighbors only,
are in equilibrium at the sum s of their Shannon radii: B = M k |q q'| s**(n-1) / (6 n),
M = 1.747565.
Repulsion of like charges: B = b beta s'**n with b = 0.211 eV, Pauling's beta = 1 + q/N + q'/N' (N
outer electrons; not below 0.1) and s' = 0.88 s: ions of one sign touch at less than the sum of
their Shannon radii (F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25 (1964) 31 and 45: b, and
3.17 angstrom for two chlorides).
Dispersion: C = 3/2 x x' / (sqrt(x/N) + sqrt(x'/N')) in atomic units, x polarizabilities, N
effective electrons (J. C. Slater and J. G. Kirkwood, Phys. Rev. 37 (1931) 682), not damped.

Fidelities: "low" has n = 9 for all pairs and no dispersion; "high" takes for each pair the mean of
the Born exponents of the two ions (5..12) and adds dispersion.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from cgatjax.errors import InputError
from cgatjax.synthetic.ions import BORN_EXPONENTS, EFFECTIVE_ELECTRONS, Ion

Fidelity = Literal["low", "high"]

FIDELITIES: tuple[Fidelity, ...] = ("low", "high")

COULOMB = 14.399645
"""e^2 / (4 pi epsilon_0) in eV angstrom."""

EXPONENTS = np.array([1, 5, 6, 7, 7.5, 8, 8.5, 9, 9.5, 10, 10.5, 11, 12])
"""(13,) powers of 1/a in the energy: electrostatics, then every mean of two Born exponents."""

LOW_EXPONENT = 9
"""Repulsion exponent of all pairs at low fidelity (the value of Born and Lande)."""

ROCKSALT_MADELUNG = 1.747565
"""Madelung constant of rocksalt for its nearest distance."""

LIKE_REPULSION = 0.211
"""Energy of two like-charged ions in contact, before Pauling's factor, in eV (Fumi and Tosi)."""

LIKE_CONTACT = 0.88
"""Contact distance of like-charged ions as a fraction of the sum of their radii."""

SLATER_KIRKWOOD = 1.5 * 27.211386 * 0.529177**1.5
"""3/2 in units of Hartree bohr^1.5, in eV angstrom^1.5."""


def _columns(ions: Sequence[Ion]) -> dict[str, np.ndarray]:
    return {
        "charge": np.array([ion.charge for ion in ions], float),
        "radius": np.array([ion.radius for ion in ions]),
        "born": np.array([BORN_EXPONENTS[ion.core] for ion in ions], float),
        "outer": np.array([ion.outer_electrons for ion in ions], float),
        "polarizability": np.array([ion.polarizability for ion in ions]),
        "electrons": np.array([EFFECTIVE_ELECTRONS[ion.core] for ion in ions]),
    }


def repulsion_parameters(ions: Sequence[Ion], fidelity: Fidelity) -> tuple[np.ndarray, np.ndarray]:
    """Compute (m, m) exponents n and strengths B (eV angstrom**n) of the repulsion B / d**n of
    ions.
    """
    column = _columns(ions)
    charge, radius, outer = column["charge"], column["radius"], column["outer"]
    contact = radius[:, None] + radius
    exponent = np.full_like(contact, LOW_EXPONENT)
    if fidelity == "high":
        exponent = (column["born"][:, None] + column["born"]) / 2
    product = charge[:, None] * charge
    attraction = ROCKSALT_MADELUNG * COULOMB * np.abs(product) / (6 * exponent)
    ratio = charge / outer
    pauling = np.maximum(1 + ratio[:, None] + ratio, 0.1)
    like = LIKE_REPULSION * pauling * (LIKE_CONTACT * contact) ** exponent
    return exponent, np.where(product < 0, attraction * contact ** (exponent - 1), like)


def dispersion_strengths(ions: Sequence[Ion]) -> np.ndarray:
    """Compute (m, m) Slater-Kirkwood coefficients C of -C / d**6, in eV angstrom**6."""
    column = _columns(ions)
    x = column["polarizability"]
    root = np.sqrt(x / column["electrons"])
    strength: np.ndarray = SLATER_KIRKWOOD * x[:, None] * x / (root[:, None] + root)
    return strength


def energy_coefficients(
    potentials: np.ndarray,
    power_sums: np.ndarray,
    ions: Sequence[Ion],
    decorations: np.ndarray,
    fidelity: Fidelity,
) -> np.ndarray:
    """Compute the coefficients c_p of the energy per cell for all decorations of a prototype.

    `potentials` are (roles, roles) Ewald sums at a = 1, summed over the sites of the roles,
    `power_sums` (12, roles, roles) sums of d**-n for n = EXPONENTS[1:], summed likewise, and
    `decorations` (m, roles) indices into `ions`. Returns (m, 13) float64, in eV angstrom**p for p =
    EXPONENTS.
    """
    exponent, strength = repulsion_parameters(ions, fidelity)
    charge = np.array([ion.charge for ion in ions], float)[decorations]
    first, second = decorations[:, :, None], decorations[:, None, :]
    coefficients = np.zeros((len(decorations), len(EXPONENTS)))
    coefficients[:, 0] = COULOMB / 2 * np.einsum("mi,ij,mj->m", charge, potentials, charge)
    for p, n in enumerate(EXPONENTS[1:], start=1):
        chosen = np.where(exponent == n, strength, 0)[first, second]
        if fidelity == "high" and n == 6:
            chosen = chosen - dispersion_strengths(ions)[first, second]
        coefficients[:, p] = (chosen * power_sums[p - 1]).sum(axis=(1, 2)) / 2
    return coefficients


def energy(coefficients: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Compute (m,) energies per cell in eV at (m,) scales in angstrom."""
    value: np.ndarray = (coefficients * scale[:, None] ** -EXPONENTS).sum(axis=1)
    return value


def equilibrium_scale(coefficients: np.ndarray, iterations: int = 80) -> np.ndarray:
    """Find the largest scale (angstrom) with a minimum of the energy (zero pressure) for each row.

    Newton iteration on dE/d(ln a), from 40 angstrom inwards in steps of at most 10 %, because
    undamped dispersion may cause a second, unphysical minimum at which ions overlap. Coefficients
    are those of `energy_coefficients`; InputError if a row has no minimum (charges that repel, or
    dispersion stronger than repulsion).
    """
    attraction = -coefficients[:, 0]
    if not (attraction > 0).all():
        raise InputError(f"{int((attraction <= 0).sum())} decorations are not bound: charges repel")
    log_scale = np.full(len(coefficients), np.log(40.0))
    for _ in range(iterations):
        terms = coefficients * np.exp(-log_scale[:, None] * EXPONENTS)
        slope, curvature = -(terms @ EXPONENTS), terms @ EXPONENTS**2
        step = np.where(curvature > 0, -slope / np.abs(curvature), -np.sign(slope))
        step = np.clip(step, -0.1, 0.1)
        log_scale = log_scale + step
        if np.abs(step).max(initial=0) < 1e-13:
            break
    terms = coefficients * np.exp(-log_scale[:, None] * EXPONENTS)
    flat = np.abs(terms @ EXPONENTS) < 1e-9 * np.abs(terms).sum(axis=1)
    if not (flat & (terms @ EXPONENTS**2 > 0)).all():
        raise InputError(f"{int((~flat).sum())} decorations have no energy minimum to relax to")
    return np.exp(log_scale)
