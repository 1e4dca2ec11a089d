"""Symmetry operations of a CIF: its own list, or the settings that its space group may mean."""

import functools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.cif.tags import CifTags

_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC_OPERATIONS = ("_space_group_symop_magn_operation_xyz",)
_MAGNETIC_CENTERINGS = ("_space_group_symop_magn_centering_xyz",)
_NAMES = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m",
)
_HALL_NAMES = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_CODES = ("_space_group_it_coordinate_system_code",)

_METRIC_TOLERANCE = 0.02
"""Largest relative change of the metric tensor by a symmetry operation: measured cells are rounded,
while a wrong axis or setting changes it by far more."""

_TRANSLATIONS = 24
"""gemmi counts rotations and translations in 24ths."""

_MONOCLINIC = range(3, 16)

_MOST_OPERATIONS = 192
"""Operations of the largest space groups in their conventional cell."""


class Symmetry(NamedTuple):
    """Symmetry operations x -> rotations @ x + translations.

    Attributes:
      name: origin of the operations, for messages.
      rotations: (m, 3, 3) float64 with integer entries.
      translations: (m, 3) float64 in [0, 1).
      is_confirmed: False if the file contradicts them, so that formula and Z must confirm them.
    """

    name: str
    rotations: np.ndarray
    translations: np.ndarray
    is_confirmed: bool = True

    def fits(self, lattice: np.ndarray) -> bool:
        """Check that the operations leave the lengths and angles of the cell unchanged."""
        metric = lattice @ lattice.T
        scale = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
        changed = self.rotations.transpose(0, 2, 1) @ metric @ self.rotations
        return bool((np.abs(changed - metric) <= _METRIC_TOLERANCE * scale).all())


def symmetries_of(tags: CifTags) -> list[Symmetry]:
    """Return the possible symmetries of a CIF block, from its most specific information.

    The list of operations is used if there is one, then the Hall symbol, then the Hermann-Mauguin
    symbol, then the number. Several symmetries are returned for a symbol or number of several
    settings (axes, origins). A block without any of them may only be P 1, to be confirmed.

    Raises:
      StructureError: malformed operations, an unknown symbol, or contradictions between symbol
        and number.
    """
    number = tags.number(*_NUMBERS)
    hall, symbol = tags.text(*_HALL_NAMES), tags.text(*_NAMES)
    of_hall = [] if hall is None else _groups_of_hall(hall)
    of_symbol = [] if symbol is None else _groups_of_symbol(symbol, tags.text(*_CODES))
    named = of_hall or of_symbol or _table(lambda group: group.number == number)
    agrees = all(group.number == number for group in named) if number else True
    if of_hall and of_symbol:
        agrees = agrees and of_hall[0].hall in [group.hall for group in of_symbol]
    listed = tags.column(*_OPERATIONS) or _magnetic_operations(tags)
    if listed:
        found = _parsed(tuple(listed))
        if agrees and (not named or any(_same_kind(found, group) for group in named)):
            return [found]
        name = f"{found.name}, which contradict {symbol or hall or number!r}"
        return [found._replace(name=name, is_confirmed=False)]
    if named and not agrees:
        raise StructureError(
            f"contradictory space group: symbols {symbol!r}, {hall!r}, number {number}; expected "
            "one space group and setting"
        )
    if named:
        return [_symmetry(f"{group.xhm()!r}", group.operations()) for group in named]
    given = symbol or hall
    name = f"P 1 for {given!r}" if given else "P 1, as the file names no space group"
    return [_parsed(("x,y,z",))._replace(name=name, is_confirmed=False)]


def _magnetic_operations(tags: CifTags) -> list[str]:
    """Return the operations of a magnetic CIF without time reversal, which moves no atom."""
    import gemmi

    operations = [_without_reversal(text) for text in tags.column(*_MAGNETIC_OPERATIONS)]
    centerings = [_without_reversal(text) for text in tags.column(*_MAGNETIC_CENTERINGS)]
    if not operations or not centerings:
        return operations
    try:
        parsed = [[gemmi.Op(text) for text in texts] for texts in (operations, centerings)]
    except RuntimeError as error:
        raise StructureError(f"malformed symmetry operation: {error}") from error
    return [(center * op).wrap().triplet() for op in parsed[0] for center in parsed[1]]


def _without_reversal(text: str) -> str:
    return ",".join(text.split(",")[:3])


@functools.lru_cache(maxsize=1024)
def _parsed(texts: tuple[str, ...]) -> Symmetry:
    """Parse a complete list of operations."""
    import gemmi

    try:
        operations = {op.triplet(): op for op in (gemmi.Op(text).wrap() for text in texts)}
    except RuntimeError as error:
        raise StructureError(f"malformed symmetry operation: {error}") from error
    found = _symmetry(f"the {len(operations)} listed operations", operations.values())
    if len(operations) > _MOST_OPERATIONS or not _is_group(found):
        raise StructureError(
            f"the {len(operations)} symmetry operations form no group; expected a complete list"
        )
    return found


def _is_group(symmetry: Symmetry) -> bool:
    """Check that all products of the operations are among them (modulo lattice translations)."""
    rotations, shifts = symmetry.rotations, symmetry.translations
    if np.abs(rotations).max() > 2:
        return False
    products = rotations[:, None] @ rotations
    moved = np.einsum("aij,bj->abi", rotations, shifts) + shifts[:, None]
    known = _keys(rotations, shifts)
    return bool(np.isin(_keys(products, moved), known).all())


def _keys(rotations: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return one integer per operation: digits of base 25 (entries of products: -12..12) and 24."""
    entries = np.round(rotations.reshape(*rotations.shape[:-2], 9)).astype(np.int64) + 12
    steps = np.round(shifts * _TRANSLATIONS).astype(np.int64) % _TRANSLATIONS
    return entries @ (25 ** np.arange(9)) * 24**3 + steps @ (24 ** np.arange(3))


def _same_kind(symmetry: Symmetry, group: Any) -> bool:
    """Check that operations belong to a space group: its number, or at least its crystal class.

    Settings that are in no table have no number; they are compared by their point operations.
    """
    import gemmi

    found: Any = gemmi.find_spacegroup_by_ops(_group_ops(symmetry))
    if found is not None:
        return bool(found.number == group.number)
    return len(np.unique(symmetry.rotations, axis=0)) == len(group.operations().sym_ops)


def _group_ops(symmetry: Symmetry) -> Any:
    import gemmi

    operations = []
    for rotation, shift in zip(symmetry.rotations, symmetry.translations, strict=True):
        op = gemmi.Op("x,y,z")
        op.rot = np.round(rotation * _TRANSLATIONS).astype(int).tolist()
        op.tran = np.round(shift * _TRANSLATIONS).astype(int).tolist()
        operations.append(op)
    return gemmi.GroupOps(operations)


def _symmetry(name: str, operations: Iterable[Any]) -> Symmetry:
    listed = list(operations)
    rotations = np.array([op.rot for op in listed], dtype=np.float64) / _TRANSLATIONS
    translations = np.array([op.tran for op in listed], dtype=np.float64) / _TRANSLATIONS % 1.0
    return Symmetry(name, rotations, translations)


def _table(accept: Any) -> list[Any]:
    import gemmi

    return [group for group in gemmi.spacegroup_table() if accept(group)]


def _groups_of_hall(symbol: str) -> list[Any]:
    import gemmi

    try:
        found = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(symbol))
    except RuntimeError:
        return []
    return [] if found is None else [found]


@functools.lru_cache(maxsize=1024)
def _groups_of_symbol(symbol: str, code: str | None) -> list[Any]:
    """Return the settings that a Hermann-Mauguin symbol allows, [] for an unknown one.

    ICSD appends S and Z for the origin choices 1 and 2, H and R (or HR) for the axes. Without such
    a letter all origins and axes of the symbol are possible; axes that a short monoclinic symbol
    does not name likewise, the unique axis b first.
    """
    import gemmi

    text = symbol.replace("_", "").replace("(", "").replace(")", "").strip()
    match = re.fullmatch(r"(.*?)\s*(?::\s*|\s)(1|2|[HRSZ]|HR)", text, re.IGNORECASE)
    suffix = ""
    if match and (":" in text or match[2].upper() in ("H", "R", "S", "Z", "HR")):
        text, suffix = match[1], match[2].upper()
    suffix = {"S": "1", "Z": "2", "HR": "R"}.get(suffix, suffix) or (code or "").strip().upper()
    first = gemmi.find_spacegroup_by_name(text)
    hm = None if first is None else first.hm
    short = text.replace(" ", "").lower()
    groups = _table(lambda group: group.hm == hm or _short_symbol(group) == short)
    groups.sort(key=lambda group: group.hm != hm)
    chosen = [group for group in groups if suffix and _has_code(group, suffix)]
    return chosen or groups


def _short_symbol(group: Any) -> str | None:
    """Return a monoclinic symbol without the axes: "p21/n" for "P 1 21/n 1"; else None."""
    if group.number not in _MONOCLINIC:
        return None
    return "".join(word for word in group.hm.split() if word != "1").lower()


def _has_code(group: Any, code: str) -> bool:
    return bool(group.ext == code or group.qualifier.upper() == code)
