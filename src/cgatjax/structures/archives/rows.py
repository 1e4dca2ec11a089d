"""Rows of archives (JSON objects, or dictionaries of columns) as crystals.

A row is recognized by its keys. Where it states its functional, its properties are called
NAME@FUNCTIONAL, so that values of two functionals never meet under one name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cgatjax.structures.archives import contracts
from cgatjax.structures.archives.cells import cell_of_dict, cell_of_jarvis, cell_of_optimade
from cgatjax.structures.archives.contracts import Contract, functional_name
from cgatjax.structures.archives.matbench import ID
from cgatjax.structures.crystal import Cell, Crystal, Rejected, parse_crystal
from cgatjax.structures.properties import EXCLUDED_KEYS, crystal_id, finite_or_nan

STRUCTURE_KEYS = (
    "structure",
    "atoms",
    "attributes",
    "lattice_vectors",
    "initial_structure",
    "computed_structure_entry",
    "cse",
    "thermo_type",
)
"""Keys of which a row has at least one."""

_OTHER_RESOURCES = ("info", "references", "links", "calculations", "files", "providers")
"""Types of OPTIMADE resources that are no structures."""

_CSE = ("computed_structure_entry", "cse")
_SCAN = "_alexandria_scan_"


class Row(NamedTuple):
    """Row of an archive, taken apart.

    Attributes:
      values: properties of any type, by their names without functional.
      named: properties whose names have a functional already.
      parser: function that returns the arrays of `structure`.
      functional: functional that the row states, "" if none.
      units, origins: units and calculators of properties, where stated.
    """

    values: Mapping[str, Any]
    parser: Callable[[Any], Cell]
    structure: Any
    functional: str = ""
    named: Mapping[str, Any] = {}
    units: Mapping[str, str] = {}
    origins: Mapping[str, str] = {}


def is_other_resource(row: Any) -> bool:
    """Check for a line of an OPTIMADE file that is no structure: its header, a reference, ..."""
    if not isinstance(row, dict):
        return False
    kind = row.get("type")
    return "x-optimade" in row or (isinstance(kind, str) and kind in _OTHER_RESOURCES)


def contract_of(row: Mapping[str, Any]) -> Contract:
    """Return the contract of a row, by its keys."""
    if ID in row:
        return contracts.MATBENCH
    if "attributes" in row:
        return contracts.OPTIMADE
    if "lattice_vectors" in row:
        return contracts.LEMAT
    if "atoms" in row:
        return contracts.OQMD if "_oqmd_entry_id" in row else contracts.JARVIS
    if "matpes_id" in row:
        return contracts.MATPES
    if "initial_structure" in row or any(key in row for key in _CSE):
        return contracts.WBM
    is_entry = "data" in row or row.get("@class") == "ComputedStructureEntry"
    is_document = "structure" in row or "thermo_type" in row
    return contracts.MATERIALS_PROJECT if is_document and not is_entry else contracts.ALEXANDRIA


def crystal_from_row(
    row: Any, *, fallback_id: str, source: str, targets: Sequence[str] | None
) -> Crystal | Rejected:
    """Convert a row to a crystal; anything but a JSON object or a dictionary of columns is
    rejected.
    """
    if not isinstance(row, dict):
        reason = f"expected an entry (a JSON object), got {type(row).__name__}"
        return Rejected(id=fallback_id, source=source, reason=reason)
    contract = contract_of(row)
    inner = "attributes" if contract is contracts.OPTIMADE else "data"
    data = row.get(inner)
    name = _name_of(row, contract, fallback_id)
    if data is not None and not isinstance(data, dict) and contract in _WITH_DATA:
        reason = f'expected "{inner}" to be an object, got {type(data).__name__}'
        return Rejected(id=name, source=source, reason=reason)
    found = _PARTS.get(contract.name, _document)(row, targets)
    if isinstance(found, str):
        return Rejected(id=name, source=source, reason=found)
    values, units = labeled(found.values, contract.units, found.functional)
    values |= found.named
    units |= {key: contract.units.get(key.split("@")[0], "") for key in found.named}
    units = {key: unit for key, unit in units.items() if key in values and unit} | dict(found.units)
    return parse_crystal(
        found.parser,
        found.structure,
        id=name,
        source=source,
        values=values,
        targets=targets,
        units=units,
        labels=labels_of(data if contract is contracts.OPTIMADE else row, contract),
        origins=found.origins,
    )


def _name_of(row: Mapping[str, Any], contract: Contract, fallback: str) -> str:
    """Return the id of a row: the archive's own one, the usual keys, those of its data."""
    own = _OWN_IDS.get(contract.name)
    if own is not None and row.get(own) is not None:
        return crystal_id({"id": row[own]}, fallback)
    data = row.get("data")
    return crystal_id(row, crystal_id(data, fallback) if isinstance(data, dict) else fallback)


def labeled(
    values: Mapping[str, Any], units: Mapping[str, str], functional: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return values and units under the names NAME@FUNCTIONAL, or NAME without a functional."""
    if not functional:
        return dict(values), dict(units)
    end = f"@{functional}"
    return (
        {k if k in EXCLUDED_KEYS else k + end: value for k, value in values.items()},
        {name + end: unit for name, unit in units.items()},
    )


def labels_of(row: Mapping[str, Any] | None, contract: Contract) -> dict[str, str]:
    """Return the fields of a row that describe its calculation, as text."""
    if contract is contracts.ALEXANDRIA:
        stated = (row or {}).get("parameters")
        if not isinstance(stated, dict):
            return {}
        return _texts({"run_type": stated.get("run_type")}) | _texts(stated.get("labels"))
    given = row or {}
    found = {name: given[name] for name in contract.labels if given.get(name) is not None}
    return {name: _label(name, value) for name, value in found.items()}


def _label(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return functional_name(value) if name.endswith("functional") else str(value)


def _entry(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse an entry of Alexandria or DCGAT; its own energy is read only if it is named."""
    own = {}
    if targets is not None and "energy" in targets:
        total = finite_or_nan(row.get("energy")) + finite_or_nan(row.get("correction") or 0)
        own = {"energy": total}
    stated = row.get("parameters")
    stated = stated if isinstance(stated, dict) else {}
    values = own | (row.get("data") or {})
    units, origins = (_texts(stated.get(key)) for key in ("units", "origins"))
    return Row(values, cell_of_dict, row.get("structure"), units=units, origins=origins)


def _texts(found: object) -> dict[str, str]:
    """Return the texts of an object that `write_dcgat` wrote, nothing of anything else."""
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): value for name, value in pairs if isinstance(value, str)}


def _document(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a document with properties beside the structure."""
    is_jarvis = "atoms" in row and "structure" not in row
    key, parser = ("atoms", cell_of_jarvis) if is_jarvis else ("structure", cell_of_dict)
    values = {name: value for name, value in row.items() if name != key}
    stated = row.get("functional") or row.get("thermo_type")
    return Row(values, parser, row.get(key), functional_name(stated))


def _thermo(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a document of the Materials Project, with the structure of its energy."""
    if "structure" in row or "thermo_type" not in row:
        return _document(row, targets)
    given = row.get("entries")
    entries = given if isinstance(given, dict) else {}
    run = row.get("energy_type") or (next(iter(entries)) if len(entries) == 1 else None)
    entry = entries.get(run) if isinstance(run, str) else None
    if not isinstance(entry, dict) or "structure" not in entry:
        return (
            f"missing structure: expected entries[{run!r}] with a structure, the run type of "
            f"energy_type; entries has {sorted(entries)}"
        )
    values = {key: value for key, value in row.items() if key != "entries"}
    return Row(values, cell_of_dict, entry["structure"], functional_name(row["thermo_type"]))


def _optimade(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a resource of an OPTIMADE response."""
    attributes = row.get("attributes") or {}
    values, named = {}, {}
    functional = functional_name(attributes.get("_alexandria_xc_functional"))
    for key, value in attributes.items():
        if key.startswith(_SCAN):
            named[f"_alexandria_{key.removeprefix(_SCAN)}@SCAN"] = value
        elif key == "_mp_stability" and isinstance(value, dict):
            for kind, part in value.items():
                parts = part.items() if isinstance(part, dict) else ()
                named |= {f"{k}@{kind}": v for k, v in parts}
        elif functional and key.startswith("_alexandria_"):
            named[f"{key}@{functional}"] = value
        else:
            values[key] = value
    return Row(values, cell_of_optimade, attributes, named=named)


def _lemat(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a row of LeMat-Bulk."""
    return Row(row, cell_of_optimade, row, functional_name(row.get("functional")))


def _wbm(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a row of WBM: the structure before relaxation if there is one."""
    entry: dict[str, Any] = next((row[key] for key in _CSE if isinstance(row.get(key), dict)), {})
    structure = row.get("initial_structure") or entry.get("structure")
    values = {key: v for key, v in row.items() if key not in (*_CSE, "initial_structure")}
    energy = {"energy": entry["energy"]} if "energy" in entry else {}
    return Row(energy | values, cell_of_dict, structure)


def _matbench(row: Mapping[str, Any], targets: Sequence[str] | None) -> Row | str:
    """Parse a row of a Matbench table."""
    values = {key: v for key, v in row.items() if key not in ("structure", ID, "e_form_unit")}
    units = {"e_form": row["e_form_unit"]} if "e_form" in values else {}
    return Row(values, cell_of_dict, row["structure"], units=units)


_PARTS: Mapping[str, Callable[[Mapping[str, Any], Sequence[str] | None], Row | str]] = {
    contracts.ALEXANDRIA.name: _entry,
    contracts.MATERIALS_PROJECT.name: _thermo,
    contracts.OPTIMADE.name: _optimade,
    contracts.LEMAT.name: _lemat,
    contracts.MATBENCH.name: _matbench,
    contracts.WBM.name: _wbm,
}
_OWN_IDS = {
    contracts.OQMD.name: "_oqmd_entry_id",
    contracts.MATPES.name: "matpes_id",
    contracts.MATBENCH.name: ID,
    contracts.LEMAT.name: "id",
    contracts.OPTIMADE.name: "id",
}
"""Key of the id in archives that have several, or one of their own."""

_WITH_DATA = (contracts.ALEXANDRIA, contracts.OPTIMADE)
