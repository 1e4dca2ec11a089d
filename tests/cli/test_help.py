"""Help pages: quick to start, grouped, complete."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.commands import ok, run

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import sys, time
import cgatjax.cli
try:
    cgatjax.cli.main(sys.argv[1:])
except SystemExit as error:
    code = error.code
slow = ("jax", "orbax", "pymatgen", "pyarrow", "numpy", "matplotlib", "scipy", "rich")
print(f"\\n{code} {time.process_time()} {[name for name in slow if name in sys.modules]}")
"""


def python(*arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--help",), 0),
        (("--version",), 0),
        (("train", "--help"), 0),
        (("train", "some.store"), 2),
        (("train", "some.store", "--target", "a", "--out", "b", "--epochs", "many"), 2),
        (("screen", "--help"), 0),
        (("bake",), 2),
    ],
)
def test_help_and_usage_errors_load_no_slow_library(arguments, code):
    found, seconds, slow = python("-c", PROBE, *arguments).splitlines()[-1].split(" ", 2)
    assert (int(found), slow) == (code, "[]")
    # About 0.1 s; the bound only catches something gone wrong.
    assert float(seconds) < 2


def test_the_package_runs_as_a_module():
    assert "Usage: python -m cgatjax" in python("-m", "cgatjax", "--help")


def test_the_list_of_commands_is_grouped_and_not_cut_off():
    text = ok("--help")
    titles = ("Data:", "Training:", "Predictions:", "Other:")
    assert [line for line in text.splitlines() if line in titles] == list(titles)
    assert not [line for line in text.splitlines()[1:] if line.endswith("...")]


def test_options_are_grouped_and_ungrouped_ones_come_last():
    lines = ok("transfer", "--help").splitlines()
    titles = ["Data:", "Transfer:", "Training:", "Hardware:", "Output:", "Options:"]
    assert [line for line in lines if line in titles] == titles


def test_a_usage_error_names_the_option():
    result = run("train", "some.store", "--target", "e-form", "--out", "x", "--loss", "l3")
    assert result.exit_code == 2
    assert "'--loss'" in result.output
    assert "robust_l1" in result.output
