"""Items of large JSON files, one batch after the other, in bounded memory.

A file is `[item, ...]`, an object with such a list under "entries" or "data", or one item per line.
Strings and brackets are located with NumPy, and whole items are given to a parser in C, which is
as fast as parsing the file at once.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from cgatjax.errors import InputError

CHUNK = 2**23
"""Bytes that are parsed at a time."""

LONGEST_ITEM = 2**28
"""Bytes after which an item is taken for damage."""

LIST_KEYS = ("entries", "data")
"""Keys of the list of items."""

_SPACE = b" \t\r\n"
_STEP = np.zeros(256, np.int8)
_STEP[[ord("{"), ord("[")]] = 1
_STEP[[ord("}"), ord("]")]] = -1


class Start(NamedTuple):
    """Beginning of a list of items, or of lines: values before it, and the index of its first
    byte.
    """

    header: Mapping[str, Any]
    position: int
    is_lines: bool = False


def parsed(content: bytes) -> Any:
    """Parse JSON, also with NaN and Infinity, as Python writes them, and with huge numbers."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    # Numbers beyond float and unpaired surrogates make one crystal bad instead of the file.
    try:
        return json.loads(content, parse_int=_integer)
    except RecursionError as error:
        raise InputError("expected JSON, got lists nested too deeply") from error
    except ValueError as error:
        raise InputError(f"expected JSON: {error}") from error


def _integer(digits: str) -> int | float:
    """Parse an integer; infinity beyond float, since `int` refuses thousands of digits."""
    return int(digits) if len(digits) < 300 else float(digits)


def is_lines(head: bytes) -> bool:
    """Check for an object per line: the first line is one, and the second begins with one."""
    first, _, rest = head.lstrip(_SPACE).partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip(_SPACE).startswith(b"{")


def list_start(head: bytes) -> Start:
    """Find the list of items, or an item per line, in the first bytes of a file."""
    text = head.decode("latin-1")  # a character per byte, so that positions agree
    here = len(text) - len(text.removeprefix("\xef\xbb\xbf").lstrip())
    if text[here : here + 1] == "[":
        return Start({}, here + 1)
    header: dict[str, Any] = {}
    decoder = json.JSONDecoder(parse_int=_integer)
    place = re.compile(r'\s*[{,]\s*("(?:[^"\\]|\\.)*")\s*:\s*')
    position = here
    while match := place.match(text, position):
        key, position = json.loads(match[1]), match.end()
        if key in LIST_KEYS and text[position] == "[":
            return Start(header, position + 1)
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        header[key] = value
    if is_lines(head):
        return Start({}, here, is_lines=True)
    raise InputError(
        'expected a list of entries, an object with one under "entries" or "data", or an entry per '
        f"line; the file begins with {text[here : here + 60]!r}"
    )


def stream_items(read: Callable[[int], bytes], is_lines: bool) -> Iterator[list[Any]]:
    """Yield batches of the items of a list, or of lines, from a reader at the first of them.

    Raises:
      InputError: damaged or incomplete, or an item longer than `LONGEST_ITEM`.
    """
    buffer, size = b"", CHUNK
    while True:
        ends, is_end = _item_ends(buffer)
        if ends:
            begin = [0, *ends[:-1]]
            parts = (buffer[i:j].strip(_SPACE + b",") for i, j in zip(begin, ends, strict=True))
            yield parsed(b"[" + b",".join(parts) + b"]")
            buffer, size = buffer[ends[-1] :], CHUNK
        if is_end:
            return
        more = read(size)
        if not more:
            break
        size = min(2 * size, LONGEST_ITEM)
        buffer += more
        if len(buffer) > 2 * LONGEST_ITEM:
            raise InputError(f"expected JSON; an entry is longer than {LONGEST_ITEM} bytes")
    if not is_lines or buffer.strip(_SPACE):
        raise InputError(f"expected JSON; it is cut off after {buffer[-40:]!r}")


def _item_ends(buffer: bytes) -> tuple[list[int], bool]:
    """Return the positions after the items in a buffer, and True if the list ends there."""
    visible = buffer
    if b"\\" in buffer:
        visible = buffer.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    codes = np.frombuffer(visible, np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    brackets = np.flatnonzero(_STEP[codes])
    brackets = brackets[np.searchsorted(quotes, brackets) % 2 == 0]
    steps = _STEP[codes[brackets]]
    depth = np.cumsum(steps, dtype=np.int64)
    beyond = np.flatnonzero(depth < 0)
    last = len(depth) if len(beyond) == 0 else int(beyond[0])
    ends = brackets[:last][(depth[:last] == 0) & (steps[:last] < 0)] + 1
    return ends.tolist(), len(beyond) > 0
