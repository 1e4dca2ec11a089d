"""Runs the command line in this process, as tests need it."""

from click.testing import CliRunner, Result

from cgatjax.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments: object) -> str:
    result = run(*arguments)
    if result.exit_code != 0:
        raise AssertionError(f"{arguments}: {result.output}") from result.exception
    return result.output


def refused(*arguments: object) -> str:
    """The one line that a mistake gets."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]
