"""Reading of pickled tables of numbers without running what they name.

A pickle names functions and classes of Python, which `pickle.load` imports and calls. Here names
are looked up in a short list: numpy's arrays, and stand-ins in place of pandas and pymatgen that
only hold what they are given. Any other name is an error.
"""

import gzip
import math
import pickle
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import cgatjax as cg


class Held:
    """Stand-in of an object: its arguments and its state; its items are ignored."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None: ...


def _block(values: Any, columns: slice, ndim: int) -> tuple[Any, slice]:
    return values, columns


def _labels(kind: type, state: Mapping[str, Any]) -> Any:
    return state["data"]


def _array(buffer: Any, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


NAMES: Mapping[str, Any] = {
    "builtins.slice": slice,
    "numpy.dtype": np.dtype,
    "numpy.ndarray": np.ndarray,
    "numpy.core.multiarray._reconstruct": np.array(0).__reduce__()[0],
    "numpy.core.multiarray.scalar": np.float64(0).__reduce__()[0],
    "numpy.core.numeric._frombuffer": _array,
    "pandas.DataFrame": Held,
    "pandas.core.frame.DataFrame": Held,
    "pandas.core.internals.managers.BlockManager": Held,
    "pandas._libs.internals._unpickle_block": _block,
    "pandas.core.indexes.base._new_Index": _labels,
    "pandas.Index": Held,
    "pandas.core.indexes.base.Index": Held,
    "pymatgen.core.composition.Composition": Held,
    "pymatgen.core.periodic_table.Element": Held,
}
"""Name in the pickle of a table -> stand-in for it, which holds what it is given."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if full not in NAMES:
            raise pickle.UnpicklingError(f"it names {full}, which no table needs")
        return NAMES[full]


def read_pickled_frame(path: Path) -> dict[str, dict[str, float]]:
    """Return the numbers of a gzipped pickle of a table: column -> row -> number.

    A cell may be a dictionary with one number, such as that of one temperature. Other cells, and
    numbers that are not finite, are left out.

    Raises:
      InputError: the file is no such pickle, or it names something else than a table needs.
    """
    try:
        with gzip.open(path) as stream:
            frame = _Unpickler(stream).load()
        blocks, (columns, rows) = frame.state["_mgr"].arguments
        table: dict[str, dict[str, float]] = {}
        for values, where in blocks:
            for column, cells in zip(columns[where], values, strict=True):
                numbers = zip(rows, map(_number, cells), strict=True)
                table[column] = {row: x for row, x in numbers if math.isfinite(x)}
    except (pickle.UnpicklingError, OSError, EOFError, zlib.error) as error:
        raise cg.InputError(f"{path}: expected a gzipped pickle of pandas ({error})") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise cg.InputError(f"{path}: expected a pickled table of pandas ({error!r})") from error
    return table


def _number(cell: Any) -> float:
    if isinstance(cell, dict) and len(cell) == 1:
        [cell] = cell.values()
    return float(cell) if isinstance(cell, (int, float, np.number)) else math.nan
