"""Parser of CIF text."""

import warnings

from cgatjax.errors import StructureError
from cgatjax.runtime.parse_errors import PARSE_ERRORS
from cgatjax.structures.crystal import Cell, cell_of


def cell_of_cif(text: str) -> Cell:
    """Parse the one structure of a CIF text, in the cell of the CIF.

    pymatgen's warnings are switched off, and are part of the reason if no structure is found.

    Raises:
      StructureError: no structure, several structures, or see `cell_of`.
    """
    from pymatgen.io.cif import CifParser

    if "_cell_length_a" not in text.lower():
        raise StructureError("expected CIF text with a unit cell; _cell_length_a is not in it")
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parser = CifParser.from_str(text)
            found = parser.warnings  # type: ignore[attr-defined]
            structures = parser.parse_structures(primitive=False, on_error="ignore")
        except PARSE_ERRORS as error:
            reason = " ".join("; ".join([f"{type(error).__name__}: {error}", *found]).split())
            raise StructureError(f"cannot be read as CIF: {reason}") from error
    if len(structures) != 1:
        raise StructureError(f"expected one structure in the CIF, got {len(structures)}; split it")
    return cell_of(structures[0])
