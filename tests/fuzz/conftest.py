"""Untrusted files: seeded mutations of small valid ones, read under limits of time and memory.

A reader may read a damaged file or refuse it with a `CgatjaxError` that names the file. Anything
else is a failure: another exception, a warning, five seconds, a gigabyte more of address space.
The file that did it is kept, and its name, reader, number and mutation stand in the message.
"""

import json
import random
import re
import signal
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cgatjax.errors import CgatjaxError
from cgatjax.structures.crystal import Rejected

try:
    import resource
except ImportError:  # not on Windows
    resource = None

SECONDS = 5
BYTES = 2**30
_COUNTS: dict[str, Counter] = defaultdict(Counter)

NUMBERS = (
    *(b"-1", b"0", b"1e308", b"-1e308", b"5e-324", b"NaN", b"Infinity", b"1e400", b"nan", b"inf"),
    *(b"1000000000", b"1000000000000000000000000", b"1" + b"0" * 5000, b"65536", b"-0.0", b"1_0"),
)
HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**9, 2**63, 10**30, 1e308, -1e308, 5e-324, float("nan"), float("inf")),
    *("", "x", "\ud800", "\0", "9" * 5000, [], [[[]]], {}, {"": None}, [None] * 1000),
    *("@HUGE@", "@DEEP@", "@1e400@", "@-1e308@"),
)
"""What stands where a JSON file should hold something else; "@...@" has no Python object."""
_RAW = {
    '"@HUGE@"': "1" + "0" * 5000,
    '"@DEEP@"': "[" * 100_000 + "]" * 100_000,
    '"@1e400@"': "1e400",
    '"@-1e308@"': "[-1e308, -1e308, -1e308]",
}


class Hang(BaseException):
    """Raised by the alarm; no reader may catch it."""


def _ring(signum, frame):
    raise Hang(f"more than {SECONDS} s")


@contextmanager
def bounded() -> Iterator[None]:
    """Limits of time and address space around one reading."""
    limits = None
    if resource is not None and Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    before = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if limits is not None:
            resource.setrlimit(resource.RLIMIT_AS, limits)


def mutated(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The content with one to three things done to it, and what they were."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutation = rng.choice(_MUTATIONS)
        content = mutation(content, rng)
        done.append(mutation.__name__.strip("_"))
    return content, " + ".join(done)


def _flip_bits(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 16)) if damaged else 0):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _drop(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + content[start + rng.randrange(1, 40) :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    alien = (rng.randbytes(rng.randrange(1, 9)), b"\0", b"\n", b'"', b"\xff\xfe", b"\r", b",", b"'")
    return content[:start] + rng.choice(alien) + content[start:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randrange(1, 200)]
    return content[:start] + piece * rng.choice((1, 1, 3, 300)) + content[start:]


def _move(content: bytes, rng: random.Random) -> bytes:
    a, b = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[b:] + content[a:b] + content[:a]


def _nest(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    return content[:start] + rng.choice((b"[", b'{"a":', b"(")) * 50_000 + content[start:]


def _renumber(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", content))
    if not found:
        return content
    start, end = rng.choice(found).span()
    return content[:start] + rng.choice(NUMBERS) + content[end:]


def _recode(content: bytes, rng: random.Random) -> bytes:
    return content.decode("latin-1").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "cp037")))


def _blank(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) + 1)
    length = rng.choice((1, 8, 64, len(content)))
    return content[:start] + rng.choice((b"\0", b" ", b"\xff")) * length + content[start + length :]


_MUTATIONS = (
    *(_flip_bits, _flip_bits, _cut, _drop, _insert, _repeat, _move, _nest, _recode, _blank),
    *(_renumber, _renumber, _renumber),
)


def positions(document: Any, where: tuple = ()) -> Iterator[tuple]:
    """The way to every value in a JSON document, the document itself first."""
    yield where
    items = document.items() if isinstance(document, dict) else ()
    items = enumerate(document) if isinstance(document, list) else items
    for key, value in items:
        yield from positions(value, (*where, key))


def replaced(document: Any, where: tuple, value: Any) -> Any:
    """A copy with another value at one place."""
    if not where:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[where[0]] = replaced(copy[where[0]], where[1:], value)
    return copy


def json_text(document: Any) -> bytes:
    """JSON with the values that Python cannot hold, and lone surrogates as escapes."""
    text = json.dumps(document)
    for mark, raw in _RAW.items():
        text = text.replace(mark, raw)
    return text.encode()


class Fuzzer:
    """Runs a reader over cases and keeps what it cannot stand.

    Attributes:
      folder: where the file to read is written, and culprits are kept.
      cases: mutations for each reader that takes a millisecond.
    """

    def __init__(self, folder: Path, cases: int) -> None:
        self.folder = folder
        self.cases = cases

    def mutations(
        self,
        reader: str,
        file: str,
        content: bytes,
        read: Callable[[Path], Any],
        *,
        cost: int = 1,
        pack: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Mutations of a file's bytes; `cost` is that of a reading in milliseconds."""

        def cases() -> Iterator[tuple[str, bytes]]:
            for number in range(max(self.cases // cost, 10)):
                damaged, what = mutated(content, random.Random(f"{reader}/{number}"))
                yield f"number {number}: {what}", pack(damaged)

        self._run(reader, file, pack(content), read, cases())

    def values(
        self,
        reader: str,
        file: str,
        document: Any,
        read: Callable[[Path], Any],
        *,
        cost: int = 1,
        below: tuple = (),
        pack: Callable[[Any], bytes] = json_text,
    ) -> None:
        """Every hostile value at every place of a JSON document, or a sample of these."""

        def cases() -> Iterator[tuple[str, bytes]]:
            places = [p for p in positions(document) if p[: len(below)] == below]
            every = [(place, value) for place in places for value in HOSTILE]
            size = min(len(every), max(2 * self.cases // cost, 10))
            for place, value in random.Random(reader).sample(every, size):
                yield f"{place} <- {value!r:.40}", pack(replaced(document, place, value))

        self._run(reader, file, pack(document), read, cases())

    def _run(self, reader, file, valid, read, cases) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(valid)
        read(path)
        failures = []
        for what, content in cases:
            path.write_bytes(content)
            fault = self.outcome(reader, path, read)
            if fault is not None:
                kept = self.folder / f"culprit-{len(failures)}-{path.name}"
                kept.write_bytes(content)
                failures.append(f"{reader}, {what}: {fault}; kept as {kept}")
        path.write_bytes(valid)
        assert not failures, f"{len(failures)} undocumented outcomes:\n" + "\n".join(failures[:12])

    def outcome(self, reader: str, path: Path, read: Callable[[Path], Any]) -> str | None:
        """Reads once under limits; what was wrong with it, or None."""
        try:
            with bounded():
                found = read(path)
        except CgatjaxError as error:
            parts = path.relative_to(self.folder).parts
            if not any(part in str(error) for part in parts):
                _COUNTS[reader]["undocumented"] += 1
                return f"the message names no file: {error!r:.300}"
            _COUNTS[reader]["refused"] += 1
        except (Exception, Hang) as error:
            _COUNTS[reader]["undocumented"] += 1
            return f"{error!r:.180} ({_origin(error)})"
        else:
            refused = isinstance(found, list) and any(isinstance(x, Rejected) for x in found)
            _COUNTS[reader]["refused" if refused else "read"] += 1
        return None


def _origin(error: BaseException) -> str:
    """The last line of ours that an error went through."""
    place, trace = "?", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "cgatjax" in code.co_filename or "test_" in code.co_filename:
            place = f"{Path(code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


@pytest.fixture
def fuzz(request, tmp_path) -> Fuzzer:
    """A fuzzer of 120 cases a reader, of 4000 in the long suite."""
    is_long = request.node.get_closest_marker("long") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Fuzzer(tmp_path, 4000 if is_long else 120)


def pytest_terminal_summary(terminalreporter) -> None:
    """A line a reader: cases tried and what became of them."""
    if _COUNTS:
        terminalreporter.section("untrusted files")
        for reader, counts in sorted(_COUNTS.items()):
            outcomes = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
            terminalreporter.write_line(f"{reader:32s}{sum(counts.values()):7d} tried: {outcomes}")
