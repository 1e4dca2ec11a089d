"""Which crystals a training must not see, because another one is judged by them.

An encoder pre-trained on the cheap labels of crystals whose dear labels are the test set has seen
the answers' composition and structure. The reference's scripts remove those ids; what resembles
them may be removed as well (`find_duplicates` of `cgatjax.data.overlap`).
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cgatjax.data.splits import SUBSETS, Split
from cgatjax.errors import InputError

ID_COLUMNS = ("id", "entry_id", "mat_id", "material_id")
"""Names of the id column of a CSV file, in order of preference."""


def held_out(split: Split) -> tuple[str, ...]:
    """Ids of the validation and the test part."""
    return (*split.valid, *split.test)


def read_ids(path: str | Path) -> tuple[str, ...]:
    """Ids from a file: validation and test part of a split, a JSON list, a CSV column, or lines.

    Args:
      path: `.json` with a split or a list, `.csv` with a column named as in `ID_COLUMNS` (the
        first column where none is), or any other text file with one id in a line; lines that
        begin with "#" are comments.

    Raises:
      InputError: the file cannot be read, or holds no ids.
    """
    path = Path(path)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a file of crystal ids: {error}") from error
    if path.suffix == ".json":
        ids = _json_ids(path, text)
    else:
        lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
        ids = _csv_ids(path, lines) if path.suffix == ".csv" else tuple(x.strip() for x in lines)
    if not ids:
        raise InputError(f"{path}: expected crystal ids, the file holds none")
    return ids


def _json_ids(path: Path, text: str) -> tuple[str, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if isinstance(content, Mapping):
        return held_out(Split.load(path))
    if isinstance(content, list) and all(isinstance(item, str | int) for item in content):
        return tuple(str(item) for item in content)
    raise InputError(f"{path}: expected a split ({', '.join(SUBSETS)}) or a list of ids")


def _csv_ids(path: Path, lines: Sequence[str]) -> tuple[str, ...]:
    try:
        rows = list(csv.reader(lines))
    except csv.Error as error:
        raise InputError(f"{path}: expected a CSV file: {error}") from error
    header = rows[0] if rows else []
    place = next((header.index(name) for name in ID_COLUMNS if name in header), None)
    body = rows if place is None else rows[1:]
    short = next((row for row in body if len(row) <= (place or 0)), None)
    if short is not None:
        raise InputError(f"{path}: expected an id in column {(place or 0) + 1}, got {short!r:.80}")
    return tuple(row[place or 0] for row in body)


def without(split: Split, ids: Iterable[str]) -> Split:
    """The split with some ids taken out of every part; ids that it lacks do not matter."""
    unwanted = set(ids)
    parts = {p: tuple(i for i in getattr(split, p) if i not in unwanted) for p in SUBSETS}
    return Split(**parts)
