"""Writer of DCGAT files: `{"entries": [...]}` of pymatgen's `ComputedStructureEntry.as_dict()`.

Properties are under `entry["data"]`; energies and volumes are per atom there. The entry's own
"energy" is a placeholder. `cgatjax.structures.archives` reads such files.
"""

import bz2
import gzip
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from cgatjax.errors import InputError
from cgatjax.runtime import write_durably
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS, reduced_formula


def entry_of(crystal: Crystal) -> dict[str, Any]:
    """Convert a crystal to the dictionary of a pymatgen `ComputedStructureEntry`.

    "energy" is a placeholder (0.0); properties are under "data", per atom where they are
    extensive. NaN properties are omitted; the readers restore them as NaN. Units, labels, origins
    of the crystal are under "parameters".
    """
    symbols = [SYMBOLS[z] for z in crystal.atomic_numbers.tolist()]
    known = {key: value for key, value in crystal.targets.items() if not math.isnan(value)}
    stated = {"units": crystal.units, "labels": crystal.labels, "origins": crystal.origins}
    stated = {name: dict(part) for name, part in stated.items() if part}
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
        "parameters": stated,
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
    write_durably(path, content)
    return path
