"""The command line, run in this process, and files that it writes."""

import csv
from pathlib import Path

from click.testing import CliRunner, Result

from cgatjax.cli import main


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments: object) -> str:
    """Run a command that must succeed; return the output."""
    result = run(*arguments)
    if result.exit_code != 0:
        raise AssertionError(f"{arguments}: {result.output}") from result.exception
    return result.output


def refused(*arguments: object) -> str:
    """Run a command that must fail; return the one line of its error."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file without its comment lines."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def is_png(path: Path) -> bool:
    """True if a file begins like a PNG picture."""
    return path.read_bytes().startswith(b"\x89PNG")
