"""Files of the best candidates for people and other programs: a CSV table, and CIF files.

best.csv                  the best rows, in order
structures/001-ID.cif     the best structures, not relaxed
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgatjax.runtime import write_csv, write_durably
from cgatjax.screening.ranked_parquet import read_rows
from cgatjax.structures import Crystal
from cgatjax.structures.cif_writer import cif_text

BEST, STRUCTURES = "best.csv", "structures"
CSV_ROWS = 1000
"""Rows of the CSV file at most; the Parquet files hold all."""
CrystalsOf = Callable[[Sequence[Mapping[str, Any]]], Iterator[tuple[int, Crystal]]]
"""Result rows -> (position, crystal) of those whose coordinates are known."""


def write_best(folder: Path, results: Path, count: int, crystals_of: CrystalsOf) -> None:
    """Write the table and the structures of the best candidates, the table last."""
    rows = read_rows(sorted(results.glob("*.parquet"))[0]).slice(0, CSV_ROWS).to_pylist()
    for position, crystal in crystals_of(rows[:count]) if count else ():
        name = f"{position + 1:0{max(3, len(str(count)))}d}-{_file_name(crystal.id)}.cif"
        write_durably(folder / STRUCTURES / name, cif_text(crystal).encode())
    for row in rows:
        row["elements"] = " ".join(f"{name}={symbol}" for name, symbol in row["elements"] or ())
    header = ["rank", *(rows[0] if rows else ("id", "mean"))]
    write_csv(folder / BEST, [header, *((n, *row.values()) for n, row in enumerate(rows, 1))])


def _file_name(id: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", id)[:80]
