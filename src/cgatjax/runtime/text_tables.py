"""Aligned tables and lists of numbers as plain text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SHOWN_ROWS = 5
"""Rows in the `repr` of an object."""


def number(value: Any) -> str:
    """Format a float with five significant digits; other values unchanged."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as columns separated by blanks, numbers aligned to the right."""
    body = [[number(cell) for cell in row] for row in rows]
    lines = [list(header), *body]
    widths = [max(len(line[c]) for line in lines) for c in range(len(header))]
    right = [all(_is_number(row[c]) for row in body) and bool(body) for c in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def preview(head: str, header: Sequence[str], rows: Sequence[Sequence[Any]], total: int) -> str:
    """Format a line and the first of `total` rows of a table, for the `repr` of an object."""
    more = [f"... {total - len(rows)} more"] if total > len(rows) else []
    return "\n".join([head, *([table(header, rows)] if rows else []), *more])


def fields(values: Mapping[str, Any]) -> str:
    """Format a "name  value" line for each item."""
    width = max((len(name) for name in values), default=0)
    return "\n".join(f"  {name.ljust(width)}  {number(v)}" for name, v in values.items())


def _is_number(cell: str) -> bool:
    try:
        float(cell.rstrip(" %") or 0)
    except ValueError:
        return False
    return True
