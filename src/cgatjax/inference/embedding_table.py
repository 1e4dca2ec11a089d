"""Embedding tables: Parquet files with a row per crystal, for pandas, polars or DuckDB."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cgatjax.errors import InputError
from cgatjax.runtime.atomic_writes import replacing

EMBEDDING = "embedding"
"""Name of the column of lists."""


def write_embeddings(
    path: Path,
    texts: Mapping[str, Sequence[str]],
    numbers: Mapping[str, np.ndarray],
    embeddings: np.ndarray,
    about: Mapping[str, str],
) -> None:
    """Write a table to one file, whole or not at all.

    Args:
      path: where to; an earlier file is replaced.
      texts: column -> (crystals,) texts.
      numbers: column -> (crystals,) floats; NaN becomes null.
      embeddings: (crystals, width), written as lists of fixed length in their own precision.
      about: texts for the file's key-value metadata.

    Raises:
      InputError: columns of other lengths.
      StorageError: it cannot be written.
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
