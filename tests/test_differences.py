"""Differences from the released code: numbered items that name existing tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "differences.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_named_test_exists(file, test):
    source = (ROOT / file).read_text()
    assert not test or f"def {test}(" in source


def test_differences_are_numbered_without_gaps():
    numbers = re.findall(r"^\*\*(\d+)\. ", PAGE.read_text(), flags=re.MULTILINE)
    assert numbers == [str(i + 1) for i in range(len(numbers))]
    assert len(numbers) >= 20
