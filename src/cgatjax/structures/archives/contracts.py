"""Data contracts of public archives: fields, units, functionals, signs and missing values.

Units and names are from the archives' documentation and public code. `Contract.checked` says what
was compared with a real file; the rest is tested on files that were written after the field lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

FUNCTIONALS = {"pbe": "PBE", "pbesol": "PBEsol", "scan": "SCAN", "r2scan": "r2SCAN"}
"""Lower case -> usual spelling; other names are kept as they are."""

_FIELD_LISTS = "field list only"


@dataclass(frozen=True)
class Field:
    """Property of an archive.

    Attributes:
      name: name in the archive, which the property keeps.
      unit: unit, with "/atom" or "/cell" for extensive properties; "" if it is not documented.
      note: sign convention and other facts.
    """

    name: str
    unit: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Content of the files of one archive.

    Attributes:
      name: name of the archive.
      layout: keys by which its rows are recognized.
      functional: functional of the values, or the place where a row states it.
      missing: notation of missing values.
      checked: what was compared with a real file.
      fields: documented properties; other numbers are read, too, with unknown units.
      labels: fields that describe the calculation: options of `where`.
    """

    name: str
    layout: str
    functional: str
    missing: str
    checked: str = _FIELD_LISTS
    fields: tuple[Field, ...]
    labels: tuple[str, ...] = ()

    @cached_property
    def units(self) -> Mapping[str, str]:
        """Unit of each documented property."""
        return {field.name: field.unit for field in self.fields}


_NEGATIVE = "signed: negative for stable compounds"
_POSITIVE = "0 on the hull, positive above it"

ALEXANDRIA = Contract(
    name="Alexandria and DCGAT",
    layout='{"entries": [...]} of entries with "structure" and "data"',
    functional="one per file, not stated in it",
    missing="NaN, null or no key",
    checked="real files: 98 entries of Alexandria, DCGAT layout; e_form, e-form and volume",
    fields=(
        Field("e-form", "eV/atom", "DCGAT; the released code divides it by the sites: see `info`"),
        Field("e_form", "eV/atom", "Alexandria, files of 2023 and later"),
        Field("e_above_hull", "eV/atom", _POSITIVE),
        Field("e_above_hull_new", "eV/atom", f"DCGAT; {_NEGATIVE}"),
        Field("phase_separation_energy", "eV/atom", f"Alexandria; {_NEGATIVE}"),
        Field("energy_total", "eV/cell", "without corrections"),
        Field("energy_corrected", "eV/cell", "with corrections"),
        Field("volume", "A^3/atom", "DCGAT"),
        Field("band_gap_ind", "eV", "indirect"),
        Field("band_gap_dir", "eV", "direct"),
    ),
    labels=("run_type",),
)

MATERIALS_PROJECT = Contract(
    name="Materials Project",
    layout='documents with "structure", or of thermo.search with "thermo_type" and "entries"',
    functional="thermo_type of the row if it has one: NAME@GGA_GGA+U, NAME@r2SCAN, ...",
    missing="null or no key",
    fields=(
        Field("formation_energy_per_atom", "eV/atom", "with corrections"),
        Field("energy_per_atom", "eV/atom", "with corrections"),
        Field("uncorrected_energy_per_atom", "eV/atom"),
        Field("energy_above_hull", "eV/atom", _POSITIVE),
        Field("equilibrium_reaction_energy_per_atom", "eV/atom", f"stable entries; {_NEGATIVE}"),
        Field("decomposition_enthalpy", "eV/atom", _NEGATIVE),
        Field("band_gap", "eV"),
        Field("volume", "A^3/cell", "unlike in DCGAT files"),
        Field("energy", "eV/cell"),
        Field("uncorrected_energy", "eV/cell"),
    ),
    labels=("thermo_type",),
)

MATPES = Contract(
    name="MatPES",
    layout='a list of documents with "matpes_id" and "structure"',
    functional='"functional" of the row: NAME@PBE, NAME@r2SCAN',
    missing="null; formation_energy_per_atom is null unless the frame is a relaxed ground state",
    fields=(
        Field("formation_energy_per_atom", "eV/atom", "ground states only"),
        Field("cohesive_energy_per_atom", "eV/atom"),
        Field("energy", "eV/cell"),
        Field("bandgap", "eV"),
        Field("volume", "A^3/cell"),
    ),
    labels=("functional",),
)

JARVIS = Contract(
    name="JARVIS-DFT",
    layout='a list of documents with "atoms" and "jid", also in a zip file',
    functional="OptB88vdW, not stated in the file; mbj_bandgap is TBmBJ",
    missing='"na"',
    fields=(
        Field("formation_energy_peratom", "eV/atom"),
        Field("optb88vdw_total_energy", "eV/atom"),
        Field("ehull", "eV/atom", _POSITIVE),
        Field("optb88vdw_bandgap", "eV"),
        Field("mbj_bandgap", "eV"),
    ),
)

_OQMD = (
    Field("_oqmd_delta_e", "eV/atom", "formation energy"),
    Field("_oqmd_stability", "eV/atom", _NEGATIVE),
    Field("_oqmd_band_gap", "eV"),
)

OQMD = Contract(
    name="OQMD, JARVIS edition",
    layout='a list of documents with "atoms" and "_oqmd_entry_id"',
    functional="PBE and PBE+U, not stated in the file",
    missing='null or "na"',
    fields=_OQMD,
)

OPTIMADE = Contract(
    name="OPTIMADE responses",
    layout='{"data": [...]}, or lines, of resources with "attributes"; others are left out',
    functional=(
        "_alexandria_xc_functional of the row: NAME@PBE; _alexandria_scan_X is _alexandria_X@SCAN; "
        "the keys of _mp_stability: NAME@gga_gga+u; OQMD: PBE and PBE+U, not stated"
    ),
    missing="null or no key",
    checked="field list; layout: test data of the OPTIMADE reference server, JSON and JSON lines",
    fields=(
        *_OQMD,
        Field("_alexandria_formation_energy_per_atom", "eV/atom"),
        Field("_alexandria_hull_distance", "eV/atom", _POSITIVE),
        Field("_alexandria_energy", "eV/cell"),
        Field("_alexandria_energy_corrected", "eV/cell"),
        Field("_alexandria_band_gap", "eV"),
        Field("_alexandria_band_gap_direct", "eV"),
        Field("formation_energy_per_atom", "eV/atom", "Materials Project"),
        Field("energy_above_hull", "eV/atom", f"Materials Project; {_POSITIVE}"),
    ),
    labels=("_alexandria_xc_functional",),
)

LEMAT = Contract(
    name="LeMat-Bulk",
    layout="Parquet with the columns lattice_vectors, cartesian_site_positions, species_at_sites",
    functional='"functional" of the row: NAME@PBE, NAME@PBEsol, NAME@SCAN, NAME@r2SCAN',
    missing="null",
    fields=(
        Field("energy", "eV/cell", "total energy: formation energies by `cgatjax hull`"),
        Field("energy_corrected", "eV/cell", "with the corrections of the source"),
        Field("total_magnetization", "muB/cell"),
    ),
    labels=("functional", "cross_compatibility"),
)

MATBENCH = Contract(
    name="Matbench",
    layout='{"columns": ["structure", NAME], "data": [[...]]}, <task>.json.gz',
    functional="PBE (OptB88vdW in jdft2d), not stated in the file",
    missing="none",
    fields=(
        Field("e_form", "eV/atom", "of matbench_mp_e_form; eV/cell of matbench_perovskites"),
        Field("gap pbe", "eV"),
        Field("exfoliation_en", "meV/atom"),
        Field("last phdos peak", "1/cm"),
        Field("n", ""),
        Field("log10(K_VRH)", "log10(GPa)"),
        Field("log10(G_VRH)", "log10(GPa)"),
    ),
)

WBM = Contract(
    name="WBM",
    layout='rows with "initial_structure" or "computed_structure_entry" ("cse")',
    functional="PBE and PBE+U, not stated in the file",
    missing="null",
    fields=(
        Field("energy", "eV/cell", "of the relaxed entry, without correction"),
        Field("bandgap", "eV"),
        Field("bandgap_pbe", "eV"),
        Field("volume", "A^3/cell"),
        Field("e_form", "eV/atom"),
        Field("e_hull", "eV/atom"),
        Field("e_above_hull", "eV/atom", "negative for compounds below the known hull"),
    ),
)

CONTRACTS = (ALEXANDRIA, LEMAT, MATERIALS_PROJECT, MATPES, JARVIS, OQMD, OPTIMADE, MATBENCH, WBM)
"""All contracts, in the order of the documentation."""


def functional_name(stated: object) -> str:
    """Return the usual spelling of a functional that a row states, "" for none.

    >>> functional_name("pbesol"), functional_name("HSE06"), functional_name(None)
    ('PBEsol', 'HSE06', '')
    """
    text = stated.strip() if isinstance(stated, str) else ""
    return FUNCTIONALS.get(text.lower(), text)
