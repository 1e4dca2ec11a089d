"""Tables of README and docs, stored results, and the agreement of a printed number with a value."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
SCALES = {"thousand": 1e3, "million": 1e6}
NUMBER = re.compile(
    r"(?<![\w.^])([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)(?![\d^])(?: (thousand|million))?"
)
Row = dict[str, str]


def stored(path: str) -> list[Row]:
    """Read a CSV file below docs/results."""
    with open(RESULTS / path, newline="") as file:
        return list(csv.DictReader(file))


def rows_of(experiment: str) -> list[Row]:
    """Read the results of an experiment: one row for each label and seed."""
    return stored(f"local/{experiment}/results.csv")


def measured(name: str) -> Any:
    """Read the JSON file of a benchmark."""
    return json.loads((RESULTS / "speed" / f"{name}.json").read_text())


def picked(rows: Iterable[Row], **labels: str) -> list[Row]:
    """Return the rows with these labels."""
    return [row for row in rows if labels.items() <= row.items()]


def section_of(page: str, heading: str) -> str:
    """Return the text below a heading of the second level; "" is the beginning of the page."""
    text = (ROOT / page).read_text()
    assert not heading or f"\n## {heading}" in text, f"{page}: no heading {heading!r}"
    return text.split(f"\n## {heading}")[1 if heading else 0].split("\n## ")[0]


def tables_under(page: str, heading: str, first_cell: str) -> list[list[list[str]]]:
    """Return the cells of all tables with this first cell below a heading, bold removed."""
    found = []
    for table in re.findall(r"(?:^\|.*\n?)+", section_of(page, heading), re.MULTILINE):
        lines = [line.strip("|\n").split("|") for line in table.replace("**", "").splitlines()]
        cells = [[cell.strip() for cell in line] for line in lines]
        if cells[0][0] == first_cell:
            found.append([cells[0], *cells[2:]])
    assert found, f"{page}: no such table under {heading!r}"
    return found


def table_under(page: str, heading: str, first_cell: str) -> list[list[str]]:
    """Return the cells of the first such table."""
    return tables_under(page, heading, first_cell)[0]


def unwrapped(page: str, heading: str) -> str:
    """Return the text below a heading without line breaks and bold."""
    return " ".join(section_of(page, heading).replace("**", "").split())


def check(cells: Iterable[str], values: Iterable[float | None]) -> None:
    """Check a row of numbers; None is a cell without one."""
    for cell, value in zip(cells, values, strict=True):
        assert cell == "-" if value is None else agrees(cell.rstrip(" %"), [value]), (cell, value)


def check_text(
    page: str, heading: str, begin: str, end: str | None, values: Sequence[float]
) -> None:
    """Check the numbers of the text between two others, or to the end of the section."""
    text = unwrapped(page, heading).split(begin)[1]
    text = text if end is None else text.split(end)[0]
    assert agrees(text, values), (text, values)


def agrees(printed: str, values: Sequence[float]) -> bool:
    """True if the numbers in a text are the values, each rounded as it is printed.

    A number without a scale word has that of the first one: "90 thousand (26 to 225)".

    >>> agrees("90 thousand (26 to 225)", [90_400, 25_600, 225_300])
    True
    >>> agrees("-0.320 (-0.42 to -0.26)", [-0.3204, -0.422, -0.268])
    False
    """
    found = NUMBER.findall(printed)
    words = [word for _, word in found if word]
    scale = SCALES[words[0]] if words else 1.0
    numbers = [(text.replace(",", ""), SCALES.get(word, scale)) for text, word in found]
    return len(numbers) == len(values) and all(
        abs(float(text) * factor - value) <= 1.001 * factor * _half_unit(text)
        for (text, factor), value in zip(numbers, values, strict=True)
    )


def _half_unit(text: str) -> float:
    """Return half a unit of the last digit that counts: zeros before the point do from the third.

    >>> _half_unit("0.320"), _half_unit("1660"), _half_unit("100")
    (0.0005, 5.0, 5.0)
    """
    number = Decimal(text)
    places = int(number.as_tuple().exponent)
    if places >= 0 and "e" not in text:
        trailing = len(text) - len(text.rstrip("0"))
        places = min(trailing, max(number.adjusted() - 1, 0))
    return 0.5 * 10.0**places
