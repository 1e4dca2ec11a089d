"""Rows of every archive, written after its list of fields: rock salt with each documented value."""

import json
from collections.abc import Callable
from typing import Any

LATTICE = [[0.0, 2.8, 2.8], [2.8, 0.0, 2.8], [2.8, 2.8, 0.0]]
STRUCTURE = {
    "@class": "Structure",
    "lattice": {"matrix": LATTICE, "pbc": [True] * 3},
    "sites": [
        {"species": [{"element": "Na", "occu": 1}], "abc": [0.0] * 3},
        {"species": [{"element": "Cl", "occu": 1}], "abc": [0.5] * 3},
    ],
}
ATOMS = {
    "lattice_mat": LATTICE,
    "coords": [[0.0] * 3, [0.5] * 3],
    "elements": ["Na", "Cl"],
    "cartesian": False,
}
SPECIES = [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in ("Na", "Cl")]
CELL = {
    "dimension_types": [1, 1, 1],
    "lattice_vectors": LATTICE,
    "cartesian_site_positions": [[0.0] * 3, [2.8] * 3],
    "species_at_sites": ["Na", "Cl"],
}
Values = dict[str, Any]


def alexandria(name: str, values: Values) -> Values:
    data = {**values, "mat_id": name, "spg": 225, "location": "x"}
    made = {"energy": -7.0, "correction": 0.0, "entry_id": None, "structure": STRUCTURE}
    return {"@class": "ComputedStructureEntry", **made, "data": data}


def materials_project(name: str, values: Values) -> Values:
    return {"material_id": name, "thermo_type": "R2SCAN", "structure": STRUCTURE, **values}


def thermo(name: str, values: Values, kind: str, run: str) -> Values:
    """Document of `thermo.search`: the structure is in the entry of the energy's run type."""
    other = {"structure": {**STRUCTURE, "sites": STRUCTURE["sites"][:1]}}
    entries = {run: {"structure": STRUCTURE, "energy": -7.0}, "other run": other}
    document = {"material_id": name, "thermo_type": kind, "energy_type": run, "entries": entries}
    return {**document, "composition": {"Na": 1, "Cl": 1}, **values}


def matpes(name: str, values: Values) -> Values:
    stated = {"functional": "r2SCAN", "nsites": 2, "forces": [[0.0] * 3] * 2}
    return {"matpes_id": name, "structure": STRUCTURE, **stated, **values}


def jarvis(name: str, values: Values) -> Values:
    return {"jid": name, "atoms": ATOMS, "spg_number": "225", **values}


def oqmd(name: str, values: Values) -> Values:
    return {"_oqmd_entry_id": name, "atoms": ATOMS, **values}


def optimade(name: str, values: Values) -> Values:
    mp = {key: values[key] for key in values if not key.startswith("_")}
    own = {key: value for key, value in values.items() if key.startswith("_")}
    stated = {"_alexandria_xc_functional": "PBE", "_mp_stability": {"gga_gga+u": mp}}
    attributes = {**CELL, "species": SPECIES, "nsites": 2, **stated, **own}
    return {"id": name, "type": "structures", "attributes": attributes}


def lemat(name: str, values: Values) -> Values:
    stated = {"functional": "pbesol", "cross_compatibility": True, "nsites": 2, "id": name}
    return {**CELL, "species": json.dumps(SPECIES), **stated, "immutable_id": "agm1", **values}


def wbm(name: str, values: Values) -> Values:
    values = dict(values)
    far = {**STRUCTURE, "lattice": {"matrix": [[2 * x for x in row] for row in LATTICE]}}
    entry = {"structure": far, "energy": values.pop("energy"), "correction": -0.5}
    row = {"material_id": name, "initial_structure": STRUCTURE, "computed_structure_entry": entry}
    return {**row, **values}


ROWS: dict[str, Callable[[str, Values], Values]] = {
    "Alexandria and DCGAT": alexandria,
    "LeMat-Bulk": lemat,
    "Materials Project": materials_project,
    "MatPES": matpes,
    "JARVIS-DFT": jarvis,
    "OQMD, JARVIS edition": oqmd,
    "OPTIMADE responses": optimade,
    "WBM": wbm,
}
"""Contract -> function that makes a row; Matbench has a table of its own."""
