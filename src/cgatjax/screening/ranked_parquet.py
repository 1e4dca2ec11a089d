"""Ranked rows in Parquet: sorted shards, and many of them merged into one sorted sequence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cgatjax.errors import InputError
from cgatjax.runtime.atomic_files import replacing

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prototype", pa.string()),
        pa.field("formula", pa.string(), nullable=False),
        pa.field("elements", pa.map_(pa.string(), pa.string())),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("std", pa.float64()),
        pa.field("unit", pa.string(), nullable=False),
        pa.field("std_note", pa.string(), nullable=False),
    ]
)
"""Of every file that a screening writes."""
ROW_GROUP = 8192
"""Rows that are read together."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranked:
    """Rows of one screening, by the mean.

    Attributes:
      ids: names of the crystals.
      prototypes: that of each, "" where there is none.
      formulas: reduced formulas.
      elements: for each crystal (class, symbol) pairs, empty where there is no prototype.
      mean, std: (rows,) float64 in `unit`; NaN in std where there is none.
      unit: of both.
      std_note: how the standard deviation was made.
    """

    ids: Sequence[str]
    prototypes: Sequence[str]
    formulas: Sequence[str]
    elements: Sequence[Sequence[tuple[str, str]]]
    mean: np.ndarray
    std: np.ndarray
    unit: str
    std_note: str

    def table(self) -> pa.Table:
        """The rows as Arrow, in their order."""
        n = len(self.ids)
        columns = [
            pa.array(self.ids, pa.string()),
            pa.array([name or None for name in self.prototypes], pa.string()),
            pa.array(self.formulas, pa.string()),
            pa.array([pairs or None for pairs in self.elements], SCHEMA.field("elements").type),
            pa.array(self.mean, pa.float64()),
            pa.array(self.std, pa.float64(), from_pandas=True),
            pa.array([self.unit] * n, pa.string()),
            pa.array([self.std_note] * n, pa.string()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def write_rows(path: Path, table: pa.Table, about: Mapping[str, str]) -> None:
    """Writes one file whole or not at all; the same rows give the same bytes.

    Args:
      path: where to.
      table: of `SCHEMA`.
      about: texts for the file's own key-value metadata.

    Raises:
      StorageError: it cannot be written.
    """
    table = table.combine_chunks().replace_schema_metadata(dict(about))
    with replacing(path) as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP, compression="zstd")


def read_rows(path: str | Path) -> pa.Table:
    """All rows of a file, or of the files of a folder, in order.

    Raises:
      InputError: there is none, or it is not of a screening.
    """
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected Parquet files of a screening, found none")
    return pa.concat_tables([_read(file) for file in files])


def _read(file: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.ParquetFile(file).read(columns).replace_schema_metadata()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file}: cannot be read as Parquet: {error!s:.300}") from error


def means_of(file: Path) -> np.ndarray:
    """(rows,) float64, the ranked column alone.

    Raises:
      InputError: the file is damaged.
    """
    return _read(file, ["mean"]).column("mean").to_numpy()


def ranking(means: np.ndarray, highest: bool) -> np.ndarray:
    """Positions from best to worst; equal values stay in order."""
    return np.argsort(-means if highest else means, kind="stable")


def merged(files: Sequence[Path], highest: bool, most: int | None, rows: int) -> Iterator[pa.Table]:
    """The rows of sorted files as one sorted sequence of tables.

    Only the ranked column is held of all files at once. A table takes a contiguous piece of each
    file, for the order among equal values is that of the files.

    Args:
      files: each sorted from best to worst.
      highest: whether the best are the highest.
      most: rows in all; None for every one.
      rows: rows of a table.

    Raises:
      InputError: a file is damaged.
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
    """Some rows of a file, reading only the groups that they stand in."""
    source = pq.ParquetFile(file)
    first, last = start // ROW_GROUP, (start + length - 1) // ROW_GROUP
    table = source.read_row_groups(range(first, last + 1)).replace_schema_metadata()
    return table.slice(start - first * ROW_GROUP, length)
