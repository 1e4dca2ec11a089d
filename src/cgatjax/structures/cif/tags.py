"""Tags and values of one CIF block, parsed by gemmi."""

import math
import re
from dataclasses import dataclass
from typing import Any

from cgatjax.errors import StructureError

_MISSING = ("?", ".")
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)(?:(?P<top>\d+)/(?P<bottom>\d+)"
    r"|(?P<digits>\d+\.?(?P<decimals>\d*)|\.(?P<only_decimals>\d+))(?P<power>[eE][-+]?\d+)?)"
    r"(?P<error>\(\d*\)?)?"
)


_OTHER_CATEGORY = re.compile(
    r"^_(?!atom|cell|chemical_formula_sum|space_group|symmetry)\S+[ \t]+\S.*$", re.I | re.M
)
_UNQUOTED_SYMBOL = re.compile(r"^(_\S*name_H(?:-M|all)\S*)[ \t]+([^'\";\s].*?)[ \t]*$", re.I | re.M)
_BLOCK_NAME = re.compile(r"^data_.*$", re.I | re.M)


@dataclass(frozen=True)
class CifNumber:
    """Number of a CIF file.

    Attributes:
      value: the value.
      last_digit: unit of its last digit (0.0001 for 0.3333); 0 for a fraction such as 1/3.
      is_refined: True if a standard uncertainty follows, as in 0.3333(2).
    """

    value: float
    last_digit: float
    is_refined: bool

    @classmethod
    def parse(cls, text: str) -> "CifNumber | None":
        """Parse a number, or return None for other text."""
        match = _NUMBER.fullmatch(text.strip())
        if match is None:
            return None
        sign = -1.0 if match["sign"] == "-" else 1.0
        is_refined = match["error"] is not None
        if match["top"] is not None:
            if int(match["bottom"][:20]) == 0:
                return None
            return cls(sign * float(match["top"]) / float(match["bottom"]), 0.0, is_refined)
        power = match["power"] or ""
        value = sign * float(match["digits"] + power)
        decimals = match["decimals"] or match["only_decimals"] or ""
        exponent = float(power[1:]) if power else 0.0
        last_digit = 10.0 ** min(exponent - len(decimals), 300)
        return cls(value, last_digit, is_refined) if math.isfinite(value) else None


class CifTags:
    """Tags of a CIF block in lower case, with "_" for the "." of newer dictionaries."""

    def __init__(self, name: str, columns: dict[str, list[str]]) -> None:
        """Take the name of the block and the values per tag, one value if not in a loop."""
        self.name = name
        self._columns = columns

    def column(self, *tags: str) -> list[str]:
        """Return the values of the first tag present, or an empty list."""
        return next((self._columns[tag] for tag in tags if tag in self._columns), [])

    def text(self, *tags: str) -> str | None:
        """Return the first value that is not "?" or "." among tags, or None."""
        for tag in tags:
            values = self._columns.get(tag, [])
            if values and values[0] not in _MISSING and values[0].strip():
                return " ".join(values[0].split())
        return None

    def number(self, *tags: str) -> float | None:
        """Return the first value as a number, or None for a missing one; other text is an error."""
        text = self.text(*tags)
        if text is None:
            return None
        found = CifNumber.parse(text)
        if found is None:
            raise StructureError(f"expected a number for {tags[0]}, got {text!r:.80}")
        return found.value

    def has(self, *tags: str) -> bool:
        """Check whether a tag is present."""
        return any(tag in self._columns for tag in tags)


def read_blocks(text: str) -> list[CifTags]:
    """Parse a CIF text to its blocks; StructureError if it violates the syntax of CIF."""
    from gemmi import cif

    # CIF is ASCII: other characters can only be part of comments, names and titles.
    ascii_text = text.encode("ascii", "replace").decode().rstrip("\x00\x1a \t\r\n") + "\n"
    try:
        document = cif.read_string(ascii_text)
    except (ValueError, RuntimeError) as error:
        try:
            document = cif.read_string(_repaired(ascii_text))
        except (ValueError, RuntimeError):
            where = " ".join(str(error).removeprefix("string:").split())
            raise StructureError(f"cannot be read as CIF: line {where}") from error
    return [CifTags(block.name, _columns(block)) for block in document]


def _repaired(text: str) -> str:
    """Undo common violations of the syntax that do not concern the structure.

    Drops one-line values of other categories (unbalanced quotes in titles), quotes space group
    symbols and replaces spaces in the names of blocks.
    """
    text = _OTHER_CATEGORY.sub("", text)
    text = _UNQUOTED_SYMBOL.sub(r"\1 '\2'", text)
    return _BLOCK_NAME.sub(lambda match: "_".join(match[0].split()), text)


def _columns(block: Any) -> dict[str, list[str]]:
    from gemmi import cif

    columns: dict[str, list[str]] = {}
    for item in block:
        if item.pair is not None:
            tag, value = item.pair
            columns[_plain(tag)] = [cif.as_string(value) if _is_quoted(value) else value]
        elif item.loop is not None:
            tags, values = item.loop.tags, item.loop.values
            for i, tag in enumerate(tags):
                column = values[i :: len(tags)]
                columns[_plain(tag)] = [cif.as_string(v) if _is_quoted(v) else v for v in column]
    return columns


def _is_quoted(value: str) -> bool:
    return value[:1] in ("'", '"', ";")


def _plain(tag: str) -> str:
    return tag.lower().replace(".", "_")
