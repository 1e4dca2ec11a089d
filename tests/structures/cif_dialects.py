"""CIF dialects with the right answer, and a table of how well three readers take them.

    PYTHONPATH=src:. python -m tests.structures.cif_dialects [docs/results/cif_dialects.csv]

Each dialect is a text and the crystal that it describes, or None if the text contradicts itself or
does not say enough, so that only a refusal is right. Where a text can be understood, a refusal is
counted apart from a wrong crystal.
"""

import csv
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from cgatjax.structures.cif.parser import cell_of_cif
from cgatjax.structures.crystal import Cell, cell_of
from cgatjax.structures.distances import closest_pair

CUBIC, HEX = (90, 90, 90), (90, 90, 120)


@dataclass(frozen=True)
class Dialect:
    """Text of a CIF file and the crystal in it (None: it has to be refused)."""

    name: str
    text: str
    crystal: Structure | None


def crystal(group: str, lengths: Any, angles: Any, species: Any, coords: Any) -> Structure:
    """Return the crystal of exact coordinates in the standard setting."""
    lattice = Lattice.from_parameters(*lengths, *angles)
    return Structure.from_spacegroup(group, lattice, species, coords)


HALITE = crystal("Fm-3m", (5.64,) * 3, CUBIC, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CESIUM_CHLORIDE = crystal("Pm-3m", (4.12,) * 3, CUBIC, ["Cs", "Cl"], [[0] * 3, [0.5] * 3])
ZINC = crystal("P6_3/mmc", (2.66, 2.66, 4.95), HEX, ["Zn"], [[1 / 3, 2 / 3, 0.25]])
WURTZITE = crystal(
    "P6_3mc", (3.25, 3.25, 5.2), HEX, ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
)
ANTIMONY = crystal("R-3m", (4.307, 4.307, 11.273), HEX, ["Sb"], [[0, 0, 0.2335]])
_SB_EDGE = float(np.sqrt(4.307**2 / 3 + 11.273**2 / 9))
_SB_ANGLE = float(np.degrees(2 * np.arcsin(4.307 / 2 / _SB_EDGE)))
ANTIMONY_R = Structure(
    Lattice.rhombohedral(_SB_EDGE, _SB_ANGLE), ["Sb", "Sb"], [[0.2335] * 3, [0.7665] * 3]
)
SILICON = Structure(
    Lattice.cubic(5.43),
    ["Si"] * 8,
    [[x + s, y + s, z + s] for s in (0, 0.25) for x, y, z in
     ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))],
)  # fmt: skip
_U = 0.2081
ANATASE = Structure(
    Lattice.tetragonal(3.784, 9.515),
    ["Ti"] * 4 + ["O"] * 8,
    [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0.5, 0, 0.75],
     [0, 0, _U], [0, 0, -_U], [0.5, 0.5, 0.5 + _U], [0.5, 0.5, 0.5 - _U],
     [0, 0.5, 0.25 + _U], [0, 0.5, 0.25 - _U], [0.5, 0, 0.75 + _U], [0.5, 0, 0.75 - _U]],
)  # fmt: skip
_HAFNIA = {"Hf": (0.276, 0.04, 0.208), "O1": (0.074, 0.332, 0.347), "O2": (0.449, 0.758, 0.48)}
HAFNIA = crystal(
    "P2_1/c", (5.117, 5.175, 5.292), (90, 99.22, 90), ["Hf", "O", "O"], list(_HAFNIA.values())
)
# The same crystal on the axes -a-c, b, a, where the glide plane is n.
_N_CELL = Lattice([-HAFNIA.lattice.matrix[0] - HAFNIA.lattice.matrix[2],
                   HAFNIA.lattice.matrix[1], HAFNIA.lattice.matrix[0]])  # fmt: skip
_N_SITES = {name: (-z, y, x - z) for name, (x, y, z) in _HAFNIA.items()}
HAFNIA_N = Structure(_N_CELL, HAFNIA.species, HAFNIA.cart_coords, coords_are_cartesian=True)
PEROVSKITE = crystal(
    "Pm-3m", (3.905,) * 3, CUBIC, ["Sr", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
)
PORTLANDITE = crystal(
    "P-3m1", (3.59, 3.59, 4.91), HEX, ["Ca", "O", "H"],
    [[0, 0, 0], [1 / 3, 2 / 3, 0.234], [1 / 3, 2 / 3, 0.429]],
)  # fmt: skip
CORUNDUM = crystal(
    "R-3c", (4.759, 4.759, 12.991), HEX, ["Al", "O"], [[0, 0, 0.3523], [0.3064, 0, 0.25]]
)
QUARTZ = crystal(
    "P3_221", (4.913, 4.913, 5.405), HEX, ["Si", "O"], [[0.47, 0, 2 / 3], [0.414, 0.268, 0.786]]
)
NICKEL_TIN = crystal(
    "P6_3/mmc", (5.29, 5.29, 4.24), HEX, ["Ni", "Sn"],
    [[0.8405, 0.681, 0.25], [1 / 3, 2 / 3, 0.25]],
)  # fmt: skip
# pymatgen takes origin 1, an eighth of the diagonal from origin 2, where MG_AL is given.
SPINEL = Structure.from_spacegroup(
    "Fd-3m", Lattice.cubic(8.083), ["Mg", "Al", "O"],
    [[0.25] * 3, [0.625] * 3, [0.3874] * 3],
)  # fmt: skip
STIBNITE_CELL = (11.31, 3.836, 11.23)
STIBNITE = crystal(
    "Pnma", STIBNITE_CELL, CUBIC, ["Sb", "Sb", "S", "S", "S"],
    [[0.0293, 0.25, 0.6739], [0.3497, 0.25, 0.4640], [0.0499, 0.25, 0.1230],
     [0.3751, 0.25, 0.0614], [0.2079, 0.25, 0.8081]],
)  # fmt: skip
STIBNITE_PBNM = Structure(
    Lattice.orthorhombic(11.23, 11.31, 3.836),
    STIBNITE.species,
    STIBNITE.frac_coords[:, [2, 0, 1]],
)


def operations(group: str) -> list[str]:
    """Return the operations of a group of gemmi's table as triplets."""
    import gemmi

    return [op.triplet() for op in gemmi.find_spacegroup_by_name(group).operations()]


def cif(
    lengths: Any,
    angles: Any,
    sites: Any,
    *,
    symmetry: str = "",
    ops: Any = (),
    formula: str = "",
    z: Any = "",
    extra: str = "",
    columns: str = "label type_symbol fract_x fract_y fract_z",
) -> str:
    """Write a CIF text; `symmetry` is the Hermann-Mauguin symbol or lines with tags."""
    lines = ["data_made"]
    for name, value in zip("abc", lengths, strict=True):
        lines.append(f"_cell_length_{name} {value}")
    for name, value in zip(("alpha", "beta", "gamma"), angles, strict=True):
        lines.append(f"_cell_angle_{name} {value}")
    if symmetry.startswith("_"):
        lines.append(symmetry)
    elif symmetry:
        lines.append(f"_symmetry_space_group_name_H-M '{symmetry}'")
    if formula:
        lines.append(f"_chemical_formula_sum '{formula}'")
    if z != "":
        lines.append(f"_cell_formula_units_Z {z}")
    if extra:
        lines.append(extra)
    if ops:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{op}'" for op in ops)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns.split())]
    lines += [" ".join(map(str, site)) for site in sites]
    return "\n".join(lines) + "\n"


def made(reference: Structure, sites: Any, **options: Any) -> str:
    """Write a CIF text in the cell of a reference crystal."""
    lattice = reference.lattice
    lengths = [round(x, 6) for x in lattice.lengths]
    return cif(lengths, [round(x, 6) for x in lattice.angles], sites, **options)


def listed(reference: Structure, digits: int = 6) -> list[tuple[Any, ...]]:
    """Return all sites of a crystal as rows."""
    return [
        (f"{site.specie}{i}", site.specie, *(f"{x:.{digits}f}" for x in site.frac_coords))
        for i, site in enumerate(reference)
    ]


F_OPS = operations("F m -3 m")
HCP_OPS = operations("P 63/m m c")
NACL = [("Na1", "Na", 0, 0, 0), ("Cl1", "Cl", 0.5, 0.5, 0.5)]
SI_1, SI_2 = [("Si1", "Si", 0, 0, 0)], [("Si1", "Si", 0.125, 0.125, 0.125)]
TI_1 = [("Ti1", "Ti", 0, 0, 0), ("O1", "O", 0, 0, 0.2081)]
TI_2 = [("Ti1", "Ti", 0, 0.75, 0.125), ("O1", "O", 0, 0.75, 0.3331)]
SB_H, SB_R = [("Sb1", "Sb", 0, 0, 0.2335)], [("Sb1", "Sb", 0.2335, 0.2335, 0.2335)]
HF_N = [(k, k.rstrip("12"), *(f"{x:.4f}" for x in v)) for k, v in _N_SITES.items()]
HF_C = [(k, k.rstrip("12"), *v) for k, v in _HAFNIA.items()]
MG_AL = [("Mg1", "Mg", 0.125, 0.125, 0.125), ("Al1", "Al", 0.5, 0.5, 0.5),
         ("O1", "O", 0.2624, 0.2624, 0.2624)]  # fmt: skip
NI_SN = [("Ni1", "Ni", 0.8405, 0.681, 0.25), ("Sn1", "Sn", 0.3333, 0.6667, 0.25)]
SR_TI = [("Sr1", "Sr", 0, 0, 0), ("Ti1", "Ti", 0.5, 0.5, 0.5), ("O1", "O", 0.5, 0.5, 0)]
CA_OH = [("Ca1", "Ca", 0, 0, 0), ("O1", "O", "0.3333", "0.6667", 0.234),
         ("H1", "H", "0.3333", "0.6667", 0.429)]  # fmt: skip
SB_S = [("Sb1", "Sb", 0.0293, 0.25, 0.6739), ("Sb2", "Sb", 0.3497, 0.25, 0.4640),
        ("S1", "S", 0.0499, 0.25, 0.1230), ("S2", "S", 0.3751, 0.25, 0.0614),
        ("S3", "S", 0.2079, 0.25, 0.8081)]  # fmt: skip
SB_S_PBNM = [(label, kind, z, x, y) for label, kind, x, y, z in SB_S]
WITH_OCCUPANCY = "label type_symbol fract_x fract_y fract_z occupancy"
WITH_FLAG = "label type_symbol fract_x fract_y fract_z calc_flag occupancy"
WITH_MULTIPLICITY = "label type_symbol symmetry_multiplicity fract_x fract_y fract_z"


def zinc(x: Any, y: Any, **options: Any) -> str:
    return made(ZINC, [("Zn1", "Zn", x, y, 0.25)], formula="Zn", z=2, **options)


def halite(**options: Any) -> str:
    return made(HALITE, NACL, **{"formula": "Na Cl", "z": 4, **options})


def _number(number: int) -> str:
    return f"_space_group_IT_number {number}"


def by_operations() -> list[Dialect]:
    return [
        Dialect("operations", halite(ops=F_OPS, symmetry="F m -3 m"), HALITE),
        Dialect("operations without a symbol", halite(ops=F_OPS), HALITE),
        Dialect("operations in upper case", halite(ops=[o.upper() for o in F_OPS]), HALITE),
        Dialect(
            "operations with decimals",
            halite(ops=[o.replace("1/2", "0.5") for o in F_OPS]),
            HALITE),
        Dialect(
            "operations with thirds as decimals",
            made(
                CORUNDUM,
                [("Al1", "Al", 0, 0, 0.3523), ("O1", "O", 0.3064, 0, 0.25)],
                ops=[
                    o.replace("1/3", "0.33333").replace("2/3", "0.66667")
                    .replace("1/6", "0.16667").replace("5/6", "0.83333")
                    for o in operations("R -3 c:H")
                ],
                formula="Al2 O3", z=6,
            ),
            CORUNDUM),
        Dialect(
            "operations under the new tag",
            halite(ops=F_OPS).replace(
                "_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"),
            HALITE),
        Dialect("a truncated list of operations", halite(ops=F_OPS[:100], z=""), None),
        Dialect(
            "operations of a setting in no table",
            made(
                HALITE,
                [("Na1", "Na", 0.1, 0, 0), ("Cl1", "Cl", 0.6, 0.5, 0.5)],
                ops=["x,y,z", "-x+1/5,y,z", "x,-y,z", "x,y,-z"],
            ),
            None,
        ),
        Dialect("only x,y,z, all sites listed", made(
            HALITE, listed(HALITE), ops=["x,y,z"], symmetry="P 1", formula="Na4 Cl4", z=1,
        ), HALITE),
        Dialect("only x,y,z and the symbol of the crystal, all sites listed", made(
            HALITE, listed(HALITE), ops=["x,y,z"], symmetry="F m -3 m", formula="Na Cl", z=4,
        ), HALITE),
        Dialect("only x,y,z and the symbol, one formula unit", halite(
            ops=["x,y,z"], symmetry="F m -3 m",
        ), None),
        Dialect("all operations, symbol P 1", halite(ops=F_OPS, symmetry="P 1"), HALITE),
        Dialect("all operations and all sites", made(
            HALITE, listed(HALITE), ops=F_OPS, formula="Na Cl", z=4,
        ), HALITE),
        Dialect("operations that contradict the cell", cif(
            (5.64, 5.64, 6.3), CUBIC, NACL, ops=F_OPS, formula="Na Cl", z=4,
        ), None),
    ]  # fmt: skip


def by_symbol() -> list[Dialect]:
    return [
        Dialect("symbol", halite(symmetry="F m -3 m"), HALITE),
        Dialect("symbol without spaces", halite(symmetry="Fm-3m"), HALITE),
        Dialect("symbol with underscores", made(
            ZINC, [("Zn1", "Zn", "0.3333", "0.6667", 0.25)], symmetry="P6_3/mmc", formula="Zn", z=2,
        ), ZINC),
        Dialect("old symbol F m 3 m", halite(symmetry="F m 3 m"), HALITE),
        Dialect("symbol with S of ICSD", halite(symmetry="F m -3 m S"), HALITE),
        Dialect("unquoted symbol", halite(symmetry="F m -3 m").replace("'F m -3 m'", "F m -3 m"),
                HALITE),
        Dialect("number alone", halite(symmetry=_number(225)), HALITE),
        Dialect("Hall symbol", halite(symmetry="_symmetry_space_group_name_Hall '-F 4 2 3'"),
                HALITE),
        Dialect("Hall symbol and another symbol", halite(
            symmetry="_symmetry_space_group_name_Hall '-F 4 2 3'\n"
            "_symmetry_space_group_name_H-M 'F d -3 m'"), None),
        Dialect("Hall symbol of origin 2", made(SPINEL, MG_AL, symmetry=(
            "_symmetry_space_group_name_Hall '-F 4vw 2vw 3'\n"
            "_symmetry_space_group_name_H-M 'F d -3 m'"), formula="Al2 Mg O4"), SPINEL),
        Dialect("unknown symbol", halite(symmetry="F m q m"), None),
        Dialect("no symmetry, one formula unit", halite(), None),
        Dialect("no symmetry, missing values", halite(
            symmetry="_symmetry_space_group_name_H-M ?\n_symmetry_Int_Tables_number ?",
        ), None),
        Dialect("no symmetry, all sites, formula and Z", made(
            HALITE, listed(HALITE), formula="Na Cl", z=4,
        ), HALITE),
        Dialect("no symmetry, formula of another cell", made(
            CESIUM_CHLORIDE, listed(CESIUM_CHLORIDE), formula="Cs Cl", z=4,
        ), None),
        Dialect("symbol and another number", halite(
            symmetry="_symmetry_space_group_name_H-M 'F m -3 m'\n_symmetry_Int_Tables_number 221",
        ), None),
        Dialect("rhombohedral axes :R", made(
            ANTIMONY_R, SB_R, symmetry="R -3 m :R", formula="Sb", z=2), ANTIMONY_R),
        Dialect("rhombohedral axes by the cell", made(
            ANTIMONY_R, SB_R, symmetry="R -3 m", formula="Sb", z=2), ANTIMONY_R),
        Dialect("rhombohedral axes, R of ICSD", made(
            ANTIMONY_R, SB_R, symmetry="R -3 m R", formula="Sb", z=2), ANTIMONY_R),
        Dialect("hexagonal axes :H", made(
            ANTIMONY, SB_H, symmetry="R -3 m :H", formula="Sb", z=6), ANTIMONY),
        Dialect("hexagonal axes, H of ICSD", made(
            ANTIMONY, SB_H, symmetry="R -3 m H", formula="Sb", z=6), ANTIMONY),
        Dialect("hexagonal symbol in a rhombohedral cell", made(
            ANTIMONY_R, SB_R, symmetry="R -3 m :H", formula="Sb", z=2), None),
        Dialect("origin :1", made(
            SILICON, SI_1, symmetry="F d -3 m :1", formula="Si", z=8), SILICON),
        Dialect("origin :2", made(
            SILICON, SI_2, symmetry="F d -3 m :2", formula="Si", z=8), SILICON),
        Dialect("origin 2, Z of ICSD", made(
            SILICON, SI_2, symmetry="F d -3 m Z", formula="Si", z=8), SILICON),
        Dialect("origin 1 unnamed, known by Z", made(
            SILICON, SI_1, symmetry="F d -3 m", formula="Si", z=8), SILICON),
        Dialect("origin 2 unnamed, known by Z", made(
            SILICON, SI_2, symmetry="F d -3 m", formula="Si", z=8), SILICON),
        Dialect("origin 2 unnamed, known by the formula", made(
            SPINEL, MG_AL, symmetry="F d -3 m", formula="Al2 Mg O4"), SPINEL),
        Dialect("origin unnamed and unknown", made(SILICON, SI_2, symmetry="F d -3 m"), None),
        Dialect("origin :1 of I 41/a m d", made(
            ANATASE, TI_1, symmetry="I 41/a m d :1", formula="Ti O2", z=4), ANATASE),
        Dialect("origin :2 of I 41/a m d", made(
            ANATASE, TI_2, symmetry="I 41/a m d :2", formula="Ti O2", z=4), ANATASE),
        Dialect("P 21/c", made(
            HAFNIA, HF_C, symmetry="P 21/c", formula="Hf O2", z=4), HAFNIA),
        Dialect("P 1 21/n 1", made(
            HAFNIA_N, HF_N, symmetry="P 1 21/n 1", formula="Hf O2", z=4), HAFNIA_N),
        Dialect("P 21/n", made(
            HAFNIA_N, HF_N, symmetry="P 21/n", formula="Hf O2", z=4), HAFNIA_N),
        Dialect("number 14 alone, axes of P 21/n", made(
            HAFNIA_N, HF_N, symmetry=_number(14), formula="Hf O2", z=4), None),
        Dialect("unique axis c", cif(
            (5.117, 5.292, 5.175), (90, 90, 99.22),
            [(a, b, x, z, y) for a, b, x, y, z in HF_C],
            symmetry="P 1 1 21/b", formula="Hf O2", z=4,
        ), Structure(
            Lattice.from_parameters(5.117, 5.292, 5.175, 90, 90, 99.22),
            HAFNIA.species, HAFNIA.frac_coords[:, [0, 2, 1]],
        )),
        Dialect("P n m a", made(
            STIBNITE, SB_S, symmetry="P n m a", formula="S3 Sb2", z=4), STIBNITE),
        Dialect("P b n m", made(
            STIBNITE_PBNM, SB_S_PBNM, symmetry="P b n m", formula="S3 Sb2", z=4), STIBNITE_PBNM),
        Dialect("number 62 alone, axes of P b n m", made(
            STIBNITE_PBNM, SB_S_PBNM, symmetry=_number(62), formula="S3 Sb2", z=4), None),
    ]  # fmt: skip


def by_rounding() -> list[Dialect]:
    return [
        Dialect("special position with 4 digits", zinc("0.3333", "0.6667", ops=HCP_OPS), ZINC),
        Dialect("with 3 digits", zinc("0.333", "0.667", ops=HCP_OPS), ZINC),
        Dialect("with 2 digits", zinc("0.33", "0.67", ops=HCP_OPS), ZINC),
        Dialect("with 4 digits, cut", zinc("0.3333", "0.6666", ops=HCP_OPS), ZINC),
        Dialect("with 2 digits, cut", zinc("0.33", "0.66", ops=HCP_OPS), ZINC),
        Dialect("with an uncertainty", zinc("0.3333(2)", "0.6667(2)", ops=HCP_OPS), ZINC),
        Dialect("as fractions", zinc("1/3", "2/3", ops=HCP_OPS), ZINC),
        Dialect("with 3 digits, by the symbol", zinc("0.333", "0.667", symmetry="P 63/m m c"),
                ZINC),
        Dialect("position x, 2x rounded", made(
            NICKEL_TIN, [("Ni1", "Ni", 0.84, 0.681, 0.25), NI_SN[1]], ops=HCP_OPS,
            formula="Ni3 Sn", z=2), NICKEL_TIN),
        Dialect("position x, 2x with 4 digits", made(
            NICKEL_TIN, [("Ni1", "Ni", 0.8405, 0.6809, 0.25), NI_SN[1]], ops=HCP_OPS,
            formula="Ni3 Sn", z=2), NICKEL_TIN),
        Dialect("near a special position by more than rounding", zinc(
            "0.3190", "0.6660", ops=HCP_OPS), None),
        Dialect("rounded, no formula", made(
            ZINC, [("Zn1", "Zn", 0.333, 0.667, 0.25)], ops=HCP_OPS), ZINC),
    ]  # fmt: skip


def by_species() -> list[Dialect]:
    return [
        Dialect("occupancy 1", halite(ops=F_OPS, columns=WITH_OCCUPANCY).replace(
            "Na 0 0 0", "Na 0 0 0 1.0").replace("0.5 0.5 0.5", "0.5 0.5 0.5 1"), HALITE),
        Dialect("occupancy unknown", made(
            HALITE, [(*row, "?") for row in NACL], ops=F_OPS, columns=WITH_OCCUPANCY), HALITE),
        Dialect("occupancy one half", made(
            HALITE, [(*row, 0.5) for row in NACL], ops=F_OPS, columns=WITH_OCCUPANCY), None),
        Dialect("two species on one site", made(
            CESIUM_CHLORIDE, [("Cs1", "Cs", 0, 0, 0), ("Cl1", "Cl", 0.5, 0.5, 0.5),
                              ("H1", "H", 0.5, 0.5, 0.5)], symmetry="P 1"), None),
        Dialect("oxygen and hydrogen on one site", made(
            PEROVSKITE, [*SR_TI, ("H1", "H", 0.5, 0.5, 0)], symmetry="P m -3 m",
            formula="H3 O3 Sr Ti", z=1), None),
        Dialect("hydrogens in the formula alone", made(
            PORTLANDITE, CA_OH[:2], symmetry="P -3 m 1", formula="Ca H2 O2", z=1), None),
        Dialect("attached hydrogens", made(
            PORTLANDITE, [(*CA_OH[0], 0), (*CA_OH[1], 1)], symmetry="P -3 m 1",
            columns="label type_symbol fract_x fract_y fract_z attached_hydrogens"), None),
        Dialect("hydrogens with positions", made(
            PORTLANDITE, CA_OH, symmetry="P -3 m 1", formula="Ca H2 O2", z=1), PORTLANDITE),
        Dialect("deuterium", made(
            PORTLANDITE, [*CA_OH[:2], ("D1", "D", *CA_OH[2][2:])], symmetry="P -3 m 1",
            formula="Ca D2 O2", z=1), PORTLANDITE),
        Dialect("hydroxide as one site", made(
            PORTLANDITE, [CA_OH[0], ("OH1", "OH", *CA_OH[1][2:])], symmetry="P -3 m 1"), None),
        Dialect("a hydrogen without coordinates", made(
            PORTLANDITE, [*CA_OH[:2], ("H1", "H", "?", "?", "?")], symmetry="P -3 m 1"), None),
        Dialect("charges in the symbols", halite(ops=F_OPS).replace(
            "Na1 Na", "Na1 Na1+").replace("Cl1 Cl", "Cl1 Cl-"), HALITE),
        Dialect("labels alone", made(
            HALITE, [(a, *xyz) for a, _, *xyz in NACL], ops=F_OPS,
            columns="label fract_x fract_y fract_z"), HALITE),
        Dialect("labels in upper case with a formula", made(
            HALITE, [(a.upper(), *xyz) for a, _, *xyz in NACL], ops=F_OPS, formula="Na Cl", z=4,
            columns="label fract_x fract_y fract_z"), HALITE),
        Dialect("labels that may be two elements", made(
            CESIUM_CHLORIDE, [("CS1", 0, 0, 0), ("CL1", 0.5, 0.5, 0.5)], symmetry="P 1",
            columns="label fract_x fract_y fract_z"), None),
        Dialect("labels with the place of the site", made(
            PEROVSKITE, [("SrA1", 0, 0, 0), ("TiB1", 0.5, 0.5, 0.5), ("OX1", 0.5, 0.5, 0)],
            symmetry="P m -3 m", columns="label fract_x fract_y fract_z"), PEROVSKITE),
        Dialect("labels of mixed sites", made(
            PEROVSKITE, [("Sr/Ca1", 0, 0, 0), ("Ti1", 0.5, 0.5, 0.5), ("O1", 0.5, 0.5, 0)],
            symmetry="P m -3 m", columns="label fract_x fract_y fract_z"), None),
        Dialect("label of a tetrahedral site", made(
            SILICON, [("T1", 0, 0, 0)], symmetry="F d -3 m :1",
            columns="label fract_x fract_y fract_z"), None),
        Dialect("label OH", made(
            PORTLANDITE, [("Ca1", 0, 0, 0), ("OH1", 0.3333, 0.6667, 0.234)], symmetry="P -3 m 1",
            columns="label fract_x fract_y fract_z"), None),
        Dialect("formula with brackets, hydrogens missing", made(
            PORTLANDITE, CA_OH[:2], symmetry="P -3 m 1", formula="Ca (O H)2", z=1), None),
        Dialect("formula with brackets", made(
            PORTLANDITE, CA_OH, symmetry="P -3 m 1", formula="Ca (O H)2", z=1), PORTLANDITE),
        Dialect("formula with unknown amounts, an element missing", made(
            PORTLANDITE, CA_OH[:2], symmetry="P -3 m 1", formula="Ca O2 Hx"), None),
        Dialect("disorder groups", made(
            CESIUM_CHLORIDE, [("Cs1", "Cs", 0, 0, 0, 1), ("Cl1", "Cl", 0.5, 0.5, 0.5, 1),
                              ("Cl2", "Cl", 0.7, 0.5, 0.5, 2)], symmetry="P 1",
            columns="label type_symbol fract_x fract_y fract_z disorder_group"), None),
        Dialect("centerings left out of the operations", halite(
            ops=operations("P m -3 m"), symmetry="F m -3 m"), None),
        Dialect("dummy sites", made(
            HALITE, [("Na1", "Na", 0, 0, 0, "d", 1), ("Cl1", "Cl", 0.5, 0.5, 0.5, "d", 1),
                     ("X1", "H", 0.25, 0.25, 0.25, "dum", 1)],
            ops=F_OPS, columns=WITH_FLAG), HALITE),
        Dialect("an atom twice in the list", made(
            CESIUM_CHLORIDE, [*listed(CESIUM_CHLORIDE), ("Cs9", "Cs", 0, 0, 0)], symmetry="P 1"),
            None),
    ]  # fmt: skip


def by_statements() -> list[Dialect]:
    return [
        Dialect("another formula", halite(ops=F_OPS, formula="Na2 Cl"), None),
        Dialect("another Z", halite(ops=F_OPS, z=2), None),
        Dialect("formula of the whole cell beside Z (pymatgen)", halite(
            ops=F_OPS, formula="Na4 Cl4"), HALITE),
        Dialect("another volume", halite(ops=F_OPS, extra="_cell_volume 160.1"), None),
        Dialect("the right volume", halite(ops=F_OPS, extra="_cell_volume 179.4(2)"), HALITE),
        Dialect("multiplicities", made(
            HALITE, [(a, b, 4, *xyz) for a, b, *xyz in NACL], ops=F_OPS,
            columns=WITH_MULTIPLICITY), HALITE),
        Dialect("multiplicities of another crystal", made(
            HALITE, [(a, b, 8, *xyz) for a, b, *xyz in NACL], ops=F_OPS,
            columns=WITH_MULTIPLICITY), None),
        Dialect("atoms on each other", made(
            CESIUM_CHLORIDE, [("Cs1", "Cs", 0, 0, 0), ("Cl1", "Cl", 0.05, 0.03, 0)],
            symmetry="P 1"), None),
    ]  # fmt: skip


def by_text() -> list[Dialect]:
    return [
        Dialect("bytes of Latin-1", "# Meßwert bei 25 °C\n" + halite(ops=F_OPS), HALITE),
        Dialect("line ends of Windows", halite(ops=F_OPS).replace("\n", "\r\n"), HALITE),
        Dialect("tags in upper case", "\n".join(
            line.upper() if line.startswith("_") and " " not in line else line
            for line in halite(ops=F_OPS).splitlines()), HALITE),
        Dialect("tags with dots", halite(ops=F_OPS).replace(
            "_cell_", "_cell.").replace("_atom_site_", "_atom_site."), HALITE),
        Dialect("a block without a crystal before it", "data_global\n_journal_year 1999\n\n"
                + halite(ops=F_OPS), HALITE),
        Dialect("two crystals", halite(ops=F_OPS) + halite(ops=F_OPS).replace(
            "data_made", "data_other").replace("5.64", "5.7"), None),
        Dialect("uncertainties in the cell", halite(ops=F_OPS).replace(
            "5.64", "5.6400(3)"), HALITE),
        Dialect("a text field", halite(
            ops=F_OPS, extra="_publ_section_title\n;\ndata_ in a title\n;"), HALITE),
        Dialect("cut off", halite(ops=F_OPS)[:-14], None),
        Dialect("no angles", halite(ops=F_OPS).replace("_cell_angle", "_cell_tilt"), None),
        Dialect("a modulated crystal", halite(
            ops=F_OPS, extra="_cell_modulation_dimension 1"), None),
        Dialect("magnetic operations", made(
            CESIUM_CHLORIDE, [("Cs1", "Cs", 0, 0, 0), ("Cl1", "Cl", 0.5, 0.5, 0.5)],
            extra="loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1"),
            CESIUM_CHLORIDE),
        Dialect("quartz by the symbol", made(
            QUARTZ, [("Si1", "Si", 0.47, 0, 0.6667), ("O1", "O", 0.414, 0.268, 0.786)],
            symmetry="P 32 2 1", formula="O2 Si", z=3), QUARTZ),
        Dialect("corundum by the symbol", made(
            CORUNDUM, [("Al1", "Al", 0, 0, 0.3523), ("O1", "O", 0.3064, 0, 0.25)],
            symmetry="R -3 c", formula="Al2 O3", z=6), CORUNDUM),
        Dialect("wurtzite with 4 digits", made(
            WURTZITE, [("Zn1", "Zn", 0.3333, 0.6667, 0), ("O1", "O", 0.3333, 0.6667, 0.382)],
            symmetry="P 63 m c", formula="O Zn", z=2), WURTZITE),
    ]  # fmt: skip


GROUPS: dict[str, Callable[[], list[Dialect]]] = {
    "lists of symmetry operations": by_operations,
    "symbols, numbers, origins and axes": by_symbol,
    "rounded special positions": by_rounding,
    "occupancies, labels, hydrogens": by_species,
    "formula, Z, volume, multiplicities": by_statements,
    "encodings, blocks, other text": by_text,
}


def dialects() -> list[Dialect]:
    """Return all dialects."""
    return [dialect for group in GROUPS.values() for dialect in group()]


def environments(cell: Cell) -> list[list[float]]:
    """Return per site its element and the 10 nearest distances with the neighbors' elements.

    The list does not depend on origin, axes or order, and tells crystals of one composition apart.
    """
    lattice, coords, numbers = cell
    axes = np.arange(-3, 4)
    shifts = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = coords[None, :, None] - coords[:, None, None] + shifts
    distances = np.linalg.norm(apart @ lattice, axis=-1)
    found = []
    for i in range(len(numbers)):
        near = [
            (round(float(d), 1), float(d), float(z))
            for row, z in zip(distances[i], numbers, strict=True)
            for d in np.sort(row)[:12]
        ]
        near = sorted(near, key=lambda item: item[1])[1:11]
        found.append([float(numbers[i]), *(d for _, d, _ in near)])
    return sorted(found)


def is_same(cell: Cell, crystal: Structure) -> bool:
    """Check that a cell has the sites of a crystal, up to origin, axes and rounding."""
    expected = cell_of(crystal)
    if Counter(cell[2].tolist()) != Counter(expected[2].tolist()):
        return False
    one, other = environments(cell), environments(expected)
    return np.allclose(one, other, atol=0.05)


def read_by_cgatjax(text: str) -> Cell:
    cell = cell_of_cif(text)
    if closest_pair(cell[0], cell[1], 0.5):
        raise ValueError("too close")
    return cell


def read_by_pymatgen(text: str) -> Cell:
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = CifParser.from_str(text).parse_structures(primitive=False, on_error="ignore")
    return cell_of(found)


def read_by_gemmi(text: str) -> Cell:
    import gemmi

    (block,) = [b for b in gemmi.cif.read_string(text) if b.find_value("_cell_length_a")]
    small = gemmi.make_small_structure_from_block(block)
    small.determine_and_set_spacegroup("S.H2")
    if small.spacegroup is None:
        raise ValueError("no space group")
    sites = small.get_all_unit_cell_sites()
    if any(site.occ != 1 for site in sites):
        raise ValueError("disordered")
    cell = small.cell
    lattice = Lattice.from_parameters(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
    coords = np.array([site.fract.tolist() for site in sites])
    return lattice.matrix, coords, np.array([site.element.atomic_number for site in sites])


READERS: dict[str, Callable[[str], Cell]] = {
    "pymatgen": read_by_pymatgen,
    "gemmi": read_by_gemmi,
    "cgatjax": read_by_cgatjax,
}


def outcome(reader: Callable[[str], Cell], dialect: Dialect) -> str:
    """Return "right", "refused" (it could be read) or "wrong"."""
    try:
        cell = reader(dialect.text)
    except Exception:
        return "right" if dialect.crystal is None else "refused"
    if dialect.crystal is None:
        return "wrong"
    return "right" if is_same(cell, dialect.crystal) else "wrong"


def main(file: str | None = None) -> None:
    """Print a table of counts, and all outcomes but the right ones; write the table as CSV."""
    details, lines = [], [["dialects", "number", *READERS]]
    total = {name: Counter[str]() for name in READERS}
    for title, group in GROUPS.items():
        counts = {name: Counter[str]() for name in READERS}
        for dialect in group():
            found = {name: outcome(reader, dialect) for name, reader in READERS.items()}
            for name, kind in found.items():
                counts[name][kind] += 1
                total[name][kind] += 1
            if set(found.values()) != {"right"}:
                details.append([dialect.name, *found.values()])
        lines.append([title, str(len(group())), *_cells(counts)])
    lines.append(["all", str(len(dialects())), *_cells(total)])
    for table in (lines, [["dialect", *READERS], *details]):
        rows = [f"| {' | '.join(cells)} |" for cells in table]
        print("\n".join([rows[0], "|---" * len(table[0]) + "|", *rows[1:], ""]))
    if file:
        with open(file, "w", newline="") as stream:
            csv.writer(stream).writerows(lines)


def _cells(counts: dict[str, Counter[str]]) -> list[str]:
    kinds = ("right", "refused", "wrong")
    return [" / ".join(str(found[kind]) for kind in kinds) for found in counts.values()]


if __name__ == "__main__":
    main(*sys.argv[1:])
