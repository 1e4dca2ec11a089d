"""Reader of the archives' JSON files.

Files of up to `WHOLE` bytes are parsed at once; larger ones are read as a stream of entries.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from cgatjax.errors import InputError
from cgatjax.structures.archives import contracts
from cgatjax.structures.archives.json_stream import is_lines, list_start, parsed, stream_items
from cgatjax.structures.archives.matbench import is_matbench, rows_of_table
from cgatjax.structures.archives.rows import (
    STRUCTURE_KEYS,
    contract_of,
    crystal_from_row,
    is_other_resource,
)
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.formats import DAMAGE, MAX_RATIO, open_stream, stem_of

WHOLE = 2**25
"""Bytes, decompressed, of the largest file that is parsed at once."""


def read_json(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the crystals of one file in order.

    An entry without an id is called "STEM:N", N from 1.

    Raises:
      InputError: the file is empty, damaged, not JSON, or JSON of another kind. Of a large file,
        the crystals before the damage are yielded first.
    """
    stem, source = stem_of(path), str(path)
    number = 0
    for batch in row_batches(path):
        for row in batch:
            number += 1
            if is_other_resource(row):
                continue
            yield crystal_from_row(
                row, fallback_id=f"{stem}:{number}", source=source, targets=targets
            )


def row_batches(path: Path) -> Iterator[Sequence[Any]]:
    """Yield the rows of a file, as they are in it, in batches; errors as of `read_json`."""
    if not path.is_file():
        raise InputError("expected a regular file, not a folder, pipe or device")
    try:
        with open_stream(path) as stream:
            head = stream.read(WHOLE + 1)
            if not head.strip():
                raise InputError("the file is empty; expected JSON with entries")
            if len(head) <= WHOLE and not is_lines(head):
                yield _rows_of(parsed(head), path)
                return
            read = _Limited(stream, head, path)
            start = list_start(head)
            read.seek(start.position)
            make = rows_of_table(start.header, path) if is_matbench(start.header) else list
            first = True
            del head
            for batch in stream_items(read.read, start.is_lines):
                rows = make(batch)
                if first:
                    _require_structures(rows)
                first = False
                yield rows
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a complete file; it is damaged: {error}") from error


class _Limited:
    """File of which a head is read already; ends with an error far beyond crystal data."""

    def __init__(self, stream: BinaryIO, head: bytes, path: Path) -> None:
        size = path.stat().st_size
        self._head, self._stream = io.BytesIO(head), stream
        self._left = MAX_RATIO * size - len(head)
        self._message = (
            f"its {size} bytes expand to more than {MAX_RATIO} times as many, far beyond crystal "
            "data; if you trust the file, decompress it first"
        )
        self._require_more()

    def seek(self, position: int) -> None:
        """Continue at a position in the head."""
        self._head.seek(position)

    def read(self, n: int) -> bytes:
        """Read at most n bytes."""
        content = self._head.read(n)
        if not content:
            content = self._stream.read(n)
            self._left -= len(content)
            self._require_more()
        return content

    def _require_more(self) -> None:
        if self._left < 0:
            raise InputError(self._message)


def _rows_of(document: Any, path: Path) -> Sequence[Any]:
    """Return the rows of a whole document."""
    rows = document
    if isinstance(document, dict):
        if is_matbench(document):
            return rows_of_table(document, path)(document["data"])
        if _is_of_columns(document):
            return _from_columns(document)
        is_one = contract_of(document) is not contracts.ALEXANDRIA or "structure" in document
        rows = [document] if is_one else document.get("entries", document.get("data"))
        if isinstance(rows, dict) and "attributes" in rows:
            rows = [rows]  # the response for one OPTIMADE structure
    if not isinstance(rows, list):
        got = f"a {type(document).__name__}"
        if isinstance(document, dict):
            got = f"an object with the keys {sorted(document)[:8]}"
        raise InputError(
            'expected DCGAT JSON, {"entries": [...]}, or a list of documents with "structure" '
            f'or "atoms"; got {got}'
        )
    if not rows:
        raise InputError('expected DCGAT JSON with entries; its list "entries" is empty')
    _require_structures(rows)
    return rows


def _require_structures(rows: Sequence[Any]) -> None:
    if not any(isinstance(row, dict) and any(k in row for k in STRUCTURE_KEYS) for row in rows):
        raise InputError(
            'expected entries with the key "structure" (or "atoms", JARVIS); no item has it'
        )


def _is_of_columns(document: Mapping[str, Any]) -> bool:
    """Check for a pandas table as JSON, {column: {row: value}}, as of WBM."""
    return "material_id" in document and all(isinstance(v, dict) for v in document.values())


def _from_columns(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: column.get(row) for name, column in document.items()}
        for row in document["material_id"]
    ]


def contract_of_file(path: Path) -> contracts.Contract:
    """Return the contract of the first row of a JSON file; errors as of `read_json`."""
    for batch in row_batches(path):
        for row in batch:
            if isinstance(row, dict) and not is_other_resource(row):
                return contract_of(row)
    raise InputError("expected entries; no item is a JSON object")
