"""Parquet files of ranked predictions, and the merge of sorted shards."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cgatjax.errors import InputError
from cgatjax.runtime import replacing

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prototype", pa.string()),
        pa.field("formula", pa.string(), nullable=False),
        pa.field("elements", pa.map_(pa.string(), pa.string())),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("std", pa.float64()),
        pa.field("lower", pa.float64()),
        pa.field("upper", pa.float64()),
        pa.field("hull_distance", pa.float64()),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("std_note", pa.string(), nullable=False),
        pa.field("out_of_distribution", pa.bool_()),
        pa.field("unseen_elements", pa.string()),
        pa.field("rare_elements", pa.string()),
    ]
)
"""Schema of all files that a screening writes."""
Rows: TypeAlias = pa.Table
"""Rows of one screening in the columns of `SCHEMA`."""
ROW_GROUP = 8192
"""Rows per row group, the smallest unit that is read."""


def rows_of(columns: Mapping[str, Any]) -> Rows:
    """Make rows of columns, in which NaN and None become null."""
    arrays = {
        name: pa.array(values, SCHEMA.field(name).type, from_pandas=True)
        for name, values in columns.items()
    }
    return pa.Table.from_pydict(arrays, schema=SCHEMA)


def write_rows(path: Path, table: Rows, metadata: Mapping[str, str]) -> None:
    """Write rows of `SCHEMA` to a Parquet file atomically; the same rows give the same bytes."""
    table = table.combine_chunks().replace_schema_metadata(dict(metadata))
    with replacing(path) as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd")


def read_rows(path: str | Path) -> pa.Table:
    """Read the rows of a file, or of all files of a folder in order; InputError without one."""
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected Parquet files of a screening, got none")
    return pa.concat_tables([_read(file) for file in files])


def _read(file: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.ParquetFile(file).read(columns).replace_schema_metadata()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: expected a Parquet file: {error!s:.300}") from error


def means_of(file: Path) -> np.ndarray:
    """Read the (rows,) float64 column of means; InputError if the file is damaged."""
    return _read(file, ["mean"]).column("mean").to_numpy()


def ranking(means: np.ndarray, highest: bool) -> np.ndarray:
    """Return positions from best to worst; the order of equal values is kept."""
    return np.argsort(-means if highest else means, kind="stable")


def merged(files: Sequence[Path], highest: bool, most: int | None, rows: int) -> Iterator[pa.Table]:
    """Merge files, sorted from best to worst, into one sequence of tables of at most `most` rows in
    all.

    Only the means are in memory for all files at once. As ties are resolved by the order of the
    files, each table consists of one contiguous slice per file.
    """
    means = [means_of(file) for file in files]
    owner = np.repeat(np.arange(len(files)), [len(m) for m in means])
    order = ranking(np.concatenate([*means, np.empty(0)]), highest)[:most]
    taken = np.zeros(len(files), np.int64)
    for start in range(0, len(order), rows):
        owners = owner[order[start : start + rows]]
        counts = np.bincount(owners, minlength=len(files))
        pieces = [_slice(files[k], taken[k], counts[k]) for k in np.flatnonzero(counts).tolist()]
        within = np.empty(len(owners), np.int64)
        within[np.argsort(owners, kind="stable")] = np.arange(len(owners))
        taken += counts
        yield pa.concat_tables(pieces).take(pa.array(within))


def _slice(file: Path, start: int, length: int) -> pa.Table:
    """Read a slice of a file, touching only the row groups that hold it."""
    source = pq.ParquetFile(file)
    first, last = start // ROW_GROUP, (start + length - 1) // ROW_GROUP
    table = source.read_row_groups(range(first, last + 1)).replace_schema_metadata()
    return table.slice(start - first * ROW_GROUP, length)


def count_unseen(files: Sequence[Path]) -> tuple[int, int, set[str]]:
    """Count rows with unseen elements and all rows of files, and collect these elements."""
    columns = [pq.read_table(file, columns=["unseen_elements"]).column(0) for file in files]
    distinct = {text for column in columns for text in column.unique().to_pylist() if text}
    n_rows = sum(len(column) for column in columns)
    n_unseen = n_rows - sum(column.null_count for column in columns)
    return n_unseen, n_rows, {symbol for text in distinct for symbol in text.split()}
