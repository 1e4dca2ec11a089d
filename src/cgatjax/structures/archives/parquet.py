"""Reader of Parquet files: LeMat-Bulk, and tables with a column of structures.

A file is read in batches of rows, so that memory is bounded. Batches of LeMat-Bulk become arrays at
once; a batch with a missing or odd structure is read row by row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.archives import contracts
from cgatjax.structures.archives.cells import number_of, numbers_by_species
from cgatjax.structures.archives.contracts import Contract, functional_name
from cgatjax.structures.archives.rows import (
    STRUCTURE_KEYS,
    contract_of,
    crystal_from_row,
    labeled,
    labels_of,
)
from cgatjax.structures.crystal import Cell, Crystal, Rejected, parse_crystal
from cgatjax.structures.formats import stem_of

BATCH = 2048
"""Rows in memory at a time."""

_ARRAYS = ("lattice_vectors", "cartesian_site_positions", "species_at_sites", "species")
_SMALLEST_VOLUME = 1e-6
"""Cubic angstrom; smaller cells are read one by one, to be rejected."""

_UNUSED = {"forces", "charges", "magnetic_moments", "stress_tensor", "elements", "elements_ratios"}
"""Columns with a number for each site or element, which are not read."""


def read_parquet(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the crystals of one file in order; InputError if it is damaged or has no structures.

    A row without an id is called "STEM:N", N from 1.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stem, source, first = stem_of(path), str(path), 1
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = _columns(file.schema_arrow.names)
            for batch in file.iter_batches(BATCH, columns=names):
                fallbacks = [f"{stem}:{first + k}" for k in range(batch.num_rows)]
                first += batch.num_rows
                yield from _crystals(batch, fallbacks, source, targets)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"expected a Parquet file; it is damaged: {error}") from error


def contract_of_parquet(path: Path) -> Contract:
    """Return the contract of a file by its columns; errors as of `read_parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return contract_of(dict.fromkeys(_columns(pq.read_schema(path).names)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"expected a Parquet file; it is damaged: {error}") from error


def _columns(names: Sequence[str]) -> list[str]:
    """Return the columns to read; InputError if none has structures."""
    if not any(key in names for key in STRUCTURE_KEYS):
        raise InputError(
            'expected the columns lattice_vectors, ... of LeMat-Bulk, or "structure" or "atoms"; '
            f"the columns are {list(names)}"
        )
    return [name for name in names if name not in _UNUSED]


def _crystals(
    batch: Any, fallbacks: Sequence[str], source: str, targets: Sequence[str] | None
) -> Iterator[Crystal | Rejected]:
    cells = _cells(batch) if set(_ARRAYS) <= set(batch.schema.names) else None
    if cells is None:
        for row, name in zip(batch.to_pylist(), fallbacks, strict=True):
            yield crystal_from_row(row, fallback_id=name, source=source, targets=targets)
        return
    rest = batch.drop_columns(
        [name for name in (*_ARRAYS, "dimension_types") if name in batch.schema.names]
    )
    for row, cell, fallback in zip(rest.to_pylist(), cells, fallbacks, strict=True):
        functional = functional_name(row.get("functional"))
        values, units = labeled(row, contracts.LEMAT.units, functional)
        yield parse_crystal(
            _cell_of,
            cell,
            id=str(row.get("id") or row.get("immutable_id") or fallback),
            source=source,
            values=values,
            targets=targets,
            units={key: unit for key, unit in units.items() if values.get(key) is not None},
            labels=labels_of(row, contracts.LEMAT),
        )


def _cell_of(found: Cell | StructureError) -> Cell:
    if isinstance(found, StructureError):
        raise found
    return found


def _cells(batch: Any) -> list[Cell | StructureError] | None:
    """Return the arrays of each row, or why there are none; None for an odd batch."""
    lattices = _triples(batch.column("lattice_vectors"))
    positions = _triples(batch.column("cartesian_site_positions"))
    sites = batch.column("species_at_sites")
    species = batch.column("species")
    if lattices is None or positions is None or sites.null_count or species.null_count:
        return None
    counts = sites.value_lengths().to_numpy()
    if (lattices[1] != 3).any() or (positions[1] != counts).any():
        return None
    if "dimension_types" in batch.schema.names:
        kinds = batch.column("dimension_types")
        if kinds.null_count or not all(kind == [1, 1, 1] for kind in kinds.to_pylist()):
            return None
    vectors = lattices[0].reshape(-1, 3, 3)
    with np.errstate(over="ignore", invalid="ignore"):
        volumes = np.linalg.det(vectors)
    if not np.isfinite(volumes).all() or (np.abs(volumes) < _SMALLEST_VOLUME).any():
        return None
    names = sites.flatten().to_pylist()
    owner = np.repeat(np.arange(len(counts)), counts)
    inverse = np.linalg.inv(vectors)
    coords = np.einsum("ni,nij->nj", positions[0], inverse[owner])
    ends = np.cumsum(counts).tolist()
    made: list[Cell | StructureError] = []
    for lattice, text, start, end in zip(
        vectors, species.to_pylist(), [0, *ends[:-1]], ends, strict=True
    ):
        try:
            known = numbers_by_species(text)
            numbers = [number_of(name, known) for name in names[start:end]]
            made.append((lattice, coords[start:end], np.array(numbers, np.uint8)))
        except StructureError as error:
            made.append(error)
        except (KeyError, TypeError, ValueError) as error:
            made.append(StructureError(f"species: {error!r}"))
    return made


def _triples(column: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (rows, 3) vectors of a column of lists of vectors, and the number of each list.

    None if a list is missing, or a vector has another length.
    """
    inner = column.flatten()
    if column.null_count or inner.null_count:
        return None
    if (inner.value_lengths().to_numpy() != 3).any():
        return None
    values = inner.flatten()
    if values.null_count:
        return None
    vectors = values.to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, 3)
    return vectors, column.value_lengths().to_numpy()
