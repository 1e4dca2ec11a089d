"""Structures in the archives' own notations, as arrays."""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson

from cgatjax.errors import StructureError
from cgatjax.structures.cif.parser import cell_of_cif
from cgatjax.structures.crystal import OCCUPANCY_TOLERANCE, Cell
from cgatjax.structures.elements import atomic_number
from cgatjax.structures.poscar import fractional


@contextmanager
def _parsing(what: str) -> Iterator[None]:
    """Turn the errors of a malformed structure into StructureError."""
    try:
        yield
    except StructureError:
        raise
    except KeyError as error:
        raise StructureError(f"the structure has no {error}; expected {what}") from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise StructureError(f"the structure is no {what}: {error}") from error


def cell_of_dict(structure: Any) -> Cell:
    """Return the arrays of a pymatgen `Structure.as_dict()`, also as JSON text, or of CIF text.

    Raises:
      StructureError: an item is missing or has another shape, an element is unknown, a site is
        disordered, or the crystal is not periodic in three directions.
    """
    if isinstance(structure, str):
        if "_cell_length_a" in structure:
            return cell_of_cif(structure)
        structure = _parsed(structure)
    if not isinstance(structure, dict):
        raise StructureError(f"missing structure; got {structure!r:.80}")
    with _parsing("pymatgen dict"):
        lattice = structure["lattice"]
        if not all(lattice.get("pbc", (True,))):
            raise StructureError(f"expected periodicity in 3 directions, got {lattice['pbc']}")
        matrix = np.array(lattice["matrix"], dtype=np.float64)
        sites = structure["sites"]
        numbers = np.array([_atomic_number_at(s["species"]) for s in sites], dtype=np.uint8)
        coords = np.array([site["abc"] for site in sites], dtype=np.float64)
    return matrix, coords, numbers


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StructureError(f"expected a structure as JSON or CIF, got {text!r:.60}") from error


def _atomic_number_at(species: Any) -> int:
    if len(species) != 1:
        raise StructureError(f"disordered site: expected one species, got {species}")
    only = species[0]
    if abs(only["occu"] - 1.0) > OCCUPANCY_TOLERANCE:
        raise StructureError(f"disordered site: expected occupancy 1, got {only}")
    return atomic_number(only["element"])


def cell_of_jarvis(atoms: Any) -> Cell:
    """Return the arrays of a JARVIS `Atoms.to_dict()`, also as JSON text, or raise
    StructureError.
    """
    atoms = _parsed(atoms) if isinstance(atoms, str) else atoms
    with _parsing("JARVIS dict"):
        lattice = np.array(atoms["lattice_mat"], dtype=np.float64)
        coords = np.array(atoms["coords"], dtype=np.float64)
        numbers = np.array([atomic_number(e.strip()) for e in atoms["elements"]], dtype=np.uint8)
        if atoms.get("cartesian", False):
            return lattice, fractional(lattice, coords), numbers
    return lattice, coords, numbers


def cell_of_optimade(attributes: Any) -> Cell:
    """Return the arrays of the attributes of an OPTIMADE structure.

    Lattice vectors and Cartesian positions are in angstrom; `species` may be JSON text, as in
    LeMat-Bulk.

    Raises:
      StructureError: an item is missing or has another shape, an element is unknown, a site is
        disordered, or the crystal is not periodic in three directions.
    """
    with _parsing("OPTIMADE structure"):
        periodic = attributes.get("dimension_types")
        if periodic is not None and list(periodic) != [1, 1, 1]:
            raise StructureError(f"expected periodicity in 3 directions, got {periodic}")
        lattice = np.array(attributes["lattice_vectors"], dtype=np.float64)
        positions = np.array(attributes["cartesian_site_positions"], dtype=np.float64)
        known = numbers_by_species(attributes.get("species"))
        names = attributes["species_at_sites"]
        numbers = np.array([number_of(name, known) for name in names], dtype=np.uint8)
        if lattice.shape != (3, 3) or positions.shape != (len(names), 3):
            raise StructureError(
                f"expected 3 lattice vectors and a position for each of {len(names)} sites, got "
                f"shapes {lattice.shape} and {positions.shape}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            volume = np.linalg.det(lattice) if np.isfinite(lattice).all() else 0.0
            if volume == 0.0 or not np.isfinite(volume):
                raise StructureError(f"singular lattice {lattice.tolist()}")
            return lattice, fractional(lattice, positions), numbers


def number_of(name: str, known: Mapping[str, int]) -> int:
    """Return the atomic number of a species; one that is not described is a symbol."""
    number = known.get(name)
    return atomic_number(name) if number is None else number


def numbers_by_species(species: Any) -> Mapping[str, int]:
    """Return name -> atomic number of OPTIMADE's species, a list or JSON text.

    StructureError for several elements or vacancies in one, or an unknown element.
    """
    if isinstance(species, str):
        return _numbers_in_text(species)
    return {entry["name"]: _number_of_species(entry) for entry in species or ()}


@functools.lru_cache(maxsize=65_536)
def _numbers_in_text(text: str) -> Mapping[str, int]:
    return numbers_by_species(_parsed(text))


def _number_of_species(species: Mapping[str, Any]) -> int:
    symbols, amounts = species["chemical_symbols"], species.get("concentration") or [1.0]
    if len(symbols) != 1 or abs(amounts[0] - 1.0) > OCCUPANCY_TOLERANCE:
        raise StructureError(f"disordered site: expected one element, got {symbols} {amounts}")
    return atomic_number(symbols[0])
