"""Tables of Matbench as matminer distributes them: pandas tables as JSON.

A. Dunn et al., npj Comput. Mater. 6 (2020) 138.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgatjax.errors import InputError
from cgatjax.structures.formats import stem_of

ID = "matbench_id"
"""Key of the id in the rows that are made here."""

E_FORM_UNITS = {"mp_e_form": "eV/atom", "perovskites": "eV/cell"}
"""Unit of the column `e_form`, which only the name of the data set tells."""


def is_matbench(document: Mapping[str, Any]) -> bool:
    """Check for a table of structures, or for the keys before its rows."""
    columns = document.get("columns")
    return isinstance(columns, list) and "structure" in columns and "index" in document


def matbench_id(name: str, number: str) -> str:
    """Return the id that the package matbench gives to a row: mb-jdft2d-001 and so on."""
    return f"{name.replace('matbench', 'mb').replace('_', '-')}-{number}"


def rows_of_table(
    header: Mapping[str, Any], path: Path
) -> Callable[[Sequence[Any]], list[dict[str, Any]]]:
    """Return a function that makes dictionaries of the next rows of a table.

    `header` has its "index" and "columns"; the name of the file is that of the data set. The
    function raises InputError for a row with another number of columns, or more rows than the index
    has.
    """
    name, columns = stem_of(path), [str(column) for column in header["columns"]]
    numbers = header["index"]
    is_list = isinstance(numbers, list) and bool(numbers)
    if not is_list or not all(type(number) is int for number in numbers):
        raise InputError("expected a Matbench table with an index of whole numbers")
    width = math.floor(math.log10(len(numbers))) + 1
    names = iter(matbench_id(name, f"{number + 1:0{width}d}") for number in numbers)
    unit = next((u for key, u in E_FORM_UNITS.items() if key in name), "")

    def rows(batch: Sequence[Any]) -> list[dict[str, Any]]:
        if not isinstance(batch, list):
            raise InputError(f"expected a list of rows, got {batch!r:.80}")
        made = []
        for values in batch:
            row_id = next(names, None)
            if row_id is None or not isinstance(values, list) or len(values) != len(columns):
                raise InputError(
                    f"expected {len(numbers)} rows with a value for each column of {columns}, got "
                    f"{values!r:.80}"
                )
            made.append(
                {**dict(zip(columns, values, strict=True)), ID: row_id, "e_form_unit": unit}
            )
        return made

    return rows
