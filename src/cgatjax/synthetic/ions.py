"""Ions of the synthetic data set: charges, radii, polarizabilities, shells.

Values from the literature:

- Radius: effective ionic radius for coordination number 6, in angstrom, high spin where there is a
  choice except for Co3+ (R. D. Shannon, Acta Cryst. A 32 (1976) 751). For N3-, coordination number
  4, the only tabulated one.
- Electronic polarizability in cubic angstrom. Noble-gas-like and d10 cations: L. Pauling, Proc. R.
  Soc. A 114 (1927) 181; anions as they are in crystals: J. R. Tessman, A. H. Kahn and W. Shockley,
  Phys. Rev. 92 (1953) 890, and S. S. Jaswal and T. P. Sharma, J. Phys. Chem. Solids 34 (1973) 509
  (all collected in C. Kittel's textbook). Values of open-shell, lanthanide and lone-pair cations
  and of N3- are *estimates*, interpolated with the cube of the radius between neighbors in the
  periodic table, with an uncertainty of about 30 %.
- Core: the noble gas (or d10 shell counted with it) that sets the Born exponent (L. Pauling, The
  Nature of the Chemical Bond, 1960: He 5, Ne 7, Ar and Cu+ 9, Kr and Ag+ 10, Xe and Au+ 12) and the
  effective number of electrons in the Slater-Kirkwood formula. That number is the one with which
  the formula gives the dispersion coefficient of two noble-gas atoms (A. Kumar and W. J. Meath,
  Mol. Phys. 54 (1985) 823: 1.46, 6.38, 64.3, 130, 286 atomic units).
- Outer electrons: 2 for the helium shell, otherwise 8, as in Pauling's repulsion factor.
"""

import functools
import re
from dataclasses import dataclass

from cgatjax.structures import atomic_number

BORN_EXPONENTS = {"He": 5, "Ne": 7, "Ar": 9, "Kr": 10, "Xe": 12}
"""Exponent of the Born repulsion by electron shell; a pair of ions takes the mean."""

EFFECTIVE_ELECTRONS = {"He": 1.43, "Ne": 3.8, "Ar": 5.4, "Kr": 6.3, "Xe": 7.1}
"""Electrons that take part in dispersion, by shell (Slater-Kirkwood)."""

# One row per shell; an entry is "element charge:radius:polarizability".
_TABLE = """
He  Li1+:0.76:0.029 Be2+:0.45:0.008
Ne  Na1+:1.02:0.179 Mg2+:0.72:0.094 Al3+:0.535:0.052 Si4+:0.40:0.0165
Ar  K1+:1.38:0.83 Ca2+:1.00:0.47 Sc3+:0.745:0.286 Ti4+:0.605:0.185 V5+:0.54:0.12
Ar  Ti2+:0.86:0.50 Ti3+:0.67:0.30 V2+:0.79:0.45 V3+:0.64:0.28 V4+:0.58:0.20 Cr3+:0.615:0.26
Ar  Mn2+:0.83:0.50 Mn3+:0.645:0.30 Mn4+:0.53:0.20 Fe2+:0.78:0.45 Fe3+:0.645:0.30 Co2+:0.745:0.42
Ar  Co3+:0.545:0.25 Ni2+:0.69:0.35 Cu1+:0.77:0.428 Cu2+:0.73:0.38 Zn2+:0.74:0.283
Ar  Ga3+:0.62:0.197 Ge4+:0.53:0.143
Kr  Rb1+:1.52:1.40 Sr2+:1.18:0.86 Y3+:0.90:0.55 Zr4+:0.72:0.37 Nb5+:0.64:0.27 Mo6+:0.59:0.20
Kr  Nb4+:0.68:0.40 Mo4+:0.65:0.40 Ru4+:0.62:0.40 Rh3+:0.665:0.55
Kr  Ag1+:1.15:1.72 Cd2+:0.95:1.09 In3+:0.80:0.73 Sn4+:0.69:0.50
Xe  Cs1+:1.67:2.42 Ba2+:1.35:1.55 La3+:1.032:1.04 Ce4+:0.87:0.73 Hf4+:0.71:0.50 Ta5+:0.64:0.37
Xe  W6+:0.60:0.28 Re6+:0.55:0.25 W4+:0.66:0.50 Ir4+:0.625:0.48 Th4+:0.94:1.10
Xe  U4+:0.89:1.00 U6+:0.73:0.60 Ce3+:1.01:1.00 Pr3+:0.99:0.97 Nd3+:0.983:0.95 Sm3+:0.958:0.90
Xe  Eu2+:1.17:1.40 Eu3+:0.947:0.87 Gd3+:0.938:0.85 Tb3+:0.923:0.82 Dy3+:0.912:0.80 Ho3+:0.901:0.77
Xe  Er3+:0.89:0.75 Tm3+:0.88:0.73 Yb3+:0.868:0.70 Lu3+:0.861:0.68
Xe  Hg2+:1.02:1.25 Tl1+:1.50:3.50 Pb2+:1.19:3.00 Pb4+:0.775:0.62 Bi3+:1.03:2.20
Ne  F1-:1.33:0.86 O2-:1.40:2.40 N3-:1.46:3.20
Ar  Cl1-:1.81:3.05 S2-:1.84:5.50
Kr  Br1-:1.96:4.28 Se2-:1.98:7.00
Xe  I1-:2.20:6.29 Te2-:2.21:9.00
"""


@dataclass(frozen=True)
class Ion:
    """Monatomic ion: charge in e, radius for coordination number 6 in angstrom, polarizability in
    A^3.

    `core` is the noble-gas name of its outer shell.
    """

    symbol: str
    charge: int
    radius: float
    polarizability: float
    core: str

    @property
    def label(self) -> str:
        """Label of element, charge and sign, such as "Ti4+"."""
        return f"{self.symbol}{abs(self.charge)}{'+' if self.charge > 0 else '-'}"

    @property
    def atomic_number(self) -> int:
        """Atomic number of the element."""
        return atomic_number(self.symbol)

    @property
    def outer_electrons(self) -> int:
        """Number of electrons in the outermost shell."""
        return 2 if self.core == "He" else 8


def _parse(core: str, entry: str) -> Ion:
    name, radius, polarizability = entry.split(":")
    symbol, charge, sign = re.fullmatch(r"([A-Z][a-z]?)(\d)([+-])", name).groups()  # type: ignore[union-attr]
    return Ion(symbol, int(sign + charge), float(radius), float(polarizability), core)


@functools.cache
def ion_table() -> tuple[Ion, ...]:
    """List all ions: cations first, then the nine anions."""
    rows = [line.split() for line in _TABLE.strip().splitlines()]
    return tuple(_parse(core, entry) for core, *entries in rows for entry in entries)
