"""CIF text as arrays, through pymatgen, which is imported when it is first needed."""

import warnings

from cgatjax.errors import StructureError
from cgatjax.structures.crystal import Cell, cell_of

_DAMAGE = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RuntimeError)
"""What pymatgen raises on malformed CIF text: its parser has no exception of its own."""


def cell_of_cif(text: str) -> Cell:
    """The arrays of the one structure that a CIF text holds, in the cell of the CIF.

    pymatgen's parser reports what it mends (coordinates such as 0.3333, missing symmetry symbols)
    as warnings; they are switched off here, and shown as the reason if no structure comes out.

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
        except _DAMAGE as error:
            reason = " ".join("; ".join([f"{type(error).__name__}: {error}", *found]).split())
            raise StructureError(f"cannot be read as CIF: {reason}") from error
    if len(structures) != 1:
        raise StructureError(f"expected one structure in the CIF, got {len(structures)}; split it")
    return cell_of(structures[0])
