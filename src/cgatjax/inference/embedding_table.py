"""Embedding tables: Parquet files with a row per crystal, for pandas, polars or DuckDB."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cgatjax.errors import InputError
from cgatjax.runtime import reading, replacing

EMBEDDING = "embedding"
"""Name of the column of lists."""


def write_embeddings(
    path: Path,
    texts: Mapping[str, Sequence[str]],
    numbers: Mapping[str, np.ndarray],
    embeddings: np.ndarray,
    about: Mapping[str, str],
) -> None:
    """Write columns of texts and floats (NaN becomes null) and embeddings to one file, or nothing.

    Embeddings (crystals, width) are lists of fixed length in their own precision; `about` becomes
    key-value metadata. An earlier file is replaced. InputError for columns of other lengths.
    """
    lengths = {name: len(column) for name, column in (*texts.items(), *numbers.items())}
    if set(lengths.values()) - {len(embeddings)}:
        raise InputError(f"expected columns of {len(embeddings)} rows, got {lengths}")
    flat = pa.array(np.ascontiguousarray(embeddings).reshape(-1))
    table = pa.table(
        {
            **{name: pa.array(list(column), pa.string()) for name, column in texts.items()},
            **{name: pa.array(column, from_pandas=True) for name, column in numbers.items()},
            EMBEDDING: pa.FixedSizeListArray.from_arrays(flat, embeddings.shape[1]),
        }
    )
    with replacing(path) as file:
        pq.write_table(table.replace_schema_metadata(dict(about)), file, compression="zstd")


def read_embeddings(path: Path) -> tuple[list[str], np.ndarray]:
    """Read ids and embeddings (crystals, width) of a Parquet file, of this library or another one.

    It must have a column "id" and one column of lists of numbers, all of one length; else
    InputError.
    """
    with reading(path, "a table of embeddings", 'write columns "id" and "embedding" again'):
        table = pq.read_table(path)
        lists = [
            field.name
            for field in table.schema
            if pa.types.is_list(field.type)
            or pa.types.is_large_list(field.type)
            or pa.types.is_fixed_size_list(field.type)
        ]
        if "id" not in table.column_names or len(lists) != 1:
            raise InputError(
                'expected a column "id" and one column of lists of numbers, got '
                f"{table.column_names}"
            )
        rows = table[lists[0]].to_pylist()
        widths = {len(row) if row is not None else 0 for row in rows}
        if len(widths) != 1 or widths == {0}:
            raise InputError(f"expected embeddings of one length, got {sorted(widths)[:5]}")
        found = np.array(rows, np.float64)
        if not np.isfinite(found).all():
            raise InputError("expected finite embeddings, some are not")
        return [str(name) for name in table["id"].to_pylist()], found
