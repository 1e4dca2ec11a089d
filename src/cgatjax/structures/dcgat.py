"""Reader and writer of JSON files: the DCGAT and Alexandria archives, and documents.

A file contains `{"entries": [...]}`, or the bare list, of pymatgen's
`ComputedStructureEntry.as_dict()`. Properties are under `entry["data"]`; energies and volumes are
per atom there. The entry's own "energy" is that of the whole cell and often a placeholder: it is
read, with its correction, only if it is named as a target. Arrays are made without pymatgen
objects, which take a hundred times as long. Lists of documents with properties beside the structure
(Materials Project, JARVIS) are read as well.
"""

import bz2
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.crystal import (
    OCCUPANCY_TOLERANCE,
    Cell,
    Crystal,
    Rejected,
    parse_crystal,
)
from cgatjax.structures.documents import cell_of_jarvis, is_document, values_of_document
from cgatjax.structures.elements import SYMBOLS, atomic_number, reduced_formula
from cgatjax.structures.formats import read_bytes, stem_of
from cgatjax.structures.properties import crystal_id, finite_or_nan


def read_dcgat(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the crystals of one file in order.

    An entry without an id is called "STEM:N", N from 1.

    Raises:
      InputError: the file is empty, damaged, not JSON, or JSON of another kind.
    """
    stem, source = stem_of(path), str(path)
    for number, entry in enumerate(_entries(read_bytes(path)), start=1):
        yield crystal_from_entry(
            entry, fallback_id=f"{stem}:{number}", source=source, targets=targets
        )


def _entries(content: bytes) -> list[Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = _lenient_json(content)
    entries = document
    if isinstance(document, dict):
        is_one = is_document(document)
        entries = [document] if is_one else document.get("entries", document.get("data"))
    if not isinstance(entries, list):
        got = (
            f"an object with the keys {sorted(document)[:8]}"
            if isinstance(document, dict)
            else (f"a {type(document).__name__}")
        )
        raise InputError(
            f'expected DCGAT JSON, {{"entries": [...]}}, or a list of documents with "structure" '
            f'or "atoms"; got {got}'
        )
    if not entries:
        raise InputError('expected DCGAT JSON with entries; its list "entries" is empty')
    if not any(isinstance(e, dict) and ("structure" in e or "atoms" in e) for e in entries):
        raise InputError(
            'expected entries with the key "structure" (or "atoms", JARVIS); no item has it'
        )
    return entries


def _lenient_json(content: bytes) -> Any:
    """Parse JSON beyond the standard: NaN and Infinity (written by Python), numbers beyond the
    range of float and unpaired surrogates, which make one crystal bad instead of the file.
    """
    try:
        return json.loads(content, parse_int=_integer)
    except RecursionError as error:
        raise InputError("expected JSON, got lists nested too deeply") from error
    except ValueError as error:
        raise InputError(f"expected JSON: {error}") from error


def _integer(digits: str) -> int | float:
    """Parse an integer; infinity beyond float, since `int` refuses thousands of digits."""
    return int(digits) if len(digits) < 300 else float(digits)


def crystal_from_entry(
    entry: Any, *, fallback_id: str, source: str, targets: Sequence[str] | None
) -> Crystal | Rejected:
    """Convert an entry (a `ComputedStructureEntry` as a dictionary) or document to a crystal.

    Args:
      entry: the dictionary; anything else is rejected.
      fallback_id: name if `entry_id`, `data.id` and `data.mat_id` are all missing.
      source: the file, for messages.
      targets: see `select_properties`.
    """
    if not isinstance(entry, dict):
        reason = f"expected an entry (a JSON object), got {type(entry).__name__}"
        return Rejected(id=fallback_id, source=source, reason=reason)
    if is_document(entry):
        values, units = values_of_document(entry)
        from_jarvis = "structure" not in entry
        return parse_crystal(
            cell_of_jarvis if from_jarvis else cell_of_dict,
            entry["atoms" if from_jarvis else "structure"],
            id=crystal_id(entry, fallback_id),
            source=source,
            values=values,
            targets=targets,
            units=units,
        )
    data = {} if entry.get("data") is None else entry["data"]
    is_object = isinstance(data, dict)
    name = crystal_id(entry, crystal_id(data, fallback_id) if is_object else fallback_id)
    if not is_object:
        reason = f'expected "data" to be an object, got {type(data).__name__}'
        return Rejected(id=name, source=source, reason=reason)
    values = _own_energy(entry, targets) | data
    structure = entry.get("structure")
    return parse_crystal(
        cell_of_dict, structure, id=name, source=source, values=values, targets=targets
    )


def _own_energy(entry: dict[str, Any], targets: Sequence[str] | None) -> dict[str, float]:
    """Return the corrected energy of the whole cell in eV, if it is named as a target."""
    if targets is None or "energy" not in targets:
        return {}
    return {
        "energy": finite_or_nan(entry.get("energy")) + finite_or_nan(entry.get("correction") or 0)
    }


def cell_of_dict(structure: Any) -> Cell:
    """Return the arrays of a pymatgen `Structure.as_dict()`.

    Raises:
      StructureError: an item is missing or has another shape, an element is unknown, a site is
        disordered, or the crystal is not periodic in three directions.
    """
    if not isinstance(structure, dict):
        raise StructureError(f"missing structure; got {structure!r:.80}")
    try:
        lattice = structure["lattice"]
        if not all(lattice.get("pbc", (True,))):
            raise StructureError(f"expected periodicity in 3 directions, got {lattice['pbc']}")
        matrix = np.array(lattice["matrix"], dtype=np.float64)
        sites = structure["sites"]
        numbers = np.array([_atomic_number_at(s["species"]) for s in sites], dtype=np.uint8)
        coords = np.array([site["abc"] for site in sites], dtype=np.float64)
    except StructureError:
        raise
    except KeyError as error:
        raise StructureError(f"the structure has no {error}; expected a pymatgen dict") from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise StructureError(f"the structure is no pymatgen dict: {error}") from error
    return matrix, coords, numbers


def _atomic_number_at(species: Any) -> int:
    if len(species) != 1:
        raise StructureError(f"disordered site: expected one species, got {species}")
    only = species[0]
    if abs(only["occu"] - 1.0) > OCCUPANCY_TOLERANCE:
        raise StructureError(f"disordered site: expected occupancy 1, got {only}")
    return atomic_number(only["element"])


def entry_of(crystal: Crystal) -> dict[str, Any]:
    """Convert a crystal to the dictionary of a pymatgen `ComputedStructureEntry`.

    "energy" is a placeholder (0.0); properties are under "data", per atom where they are
    extensive. NaN properties are omitted; the readers restore them as NaN.
    """
    symbols = [SYMBOLS[z] for z in crystal.atomic_numbers.tolist()]
    known = {key: value for key, value in crystal.targets.items() if not math.isnan(value)}
    sites = [
        {"species": [{"element": symbol, "occu": 1.0}], "abc": abc, "properties": {}}
        for symbol, abc in zip(symbols, crystal.frac_coords.tolist(), strict=True)
    ]
    return {
        "@module": "pymatgen.core.entries",
        "@class": "ComputedStructureEntry",
        "energy": 0.0,
        "composition": {symbol: float(count) for symbol, count in Counter(symbols).items()},
        "entry_id": crystal.id,
        "correction": 0.0,
        "parameters": {},
        "data": {
            **known,
            "id": crystal.id,
            "decomposition": reduced_formula(crystal.atomic_numbers),
        },
        "structure": {
            "@module": "pymatgen.core.structure",
            "@class": "Structure",
            "charge": 0.0,
            "lattice": {"matrix": crystal.lattice.tolist(), "pbc": [True, True, True]},
            "properties": {},
            "sites": sites,
        },
    }


def write_dcgat(crystals: Iterable[Crystal], path: str | Path) -> Path:
    """Write crystals to one DCGAT file, `{"entries": [...]}`; floats keep all their digits.

    Args:
      crystals: at least one (an empty file is indistinguishable from a damaged one).
      path: file name in .json, .json.gz or .json.bz2; missing folders are created, an existing
        file is replaced.

    Returns:
      The path.

    Raises:
      InputError: another file name, or no crystals.
    """
    path = Path(path)
    if not path.name.endswith((".json", ".json.gz", ".json.bz2")):
        raise InputError(f"{path}: expected a name in .json, .json.gz or .json.bz2")
    entries = [entry_of(crystal) for crystal in crystals]
    if not entries:
        raise InputError(f"{path}: expected at least one crystal to write, got none")
    content = orjson.dumps({"entries": entries})
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    elif path.suffix == ".bz2":
        content = bz2.compress(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
