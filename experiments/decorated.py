"""Crystals that nobody has computed: other elements on the sites of known ones.

    python -m experiments pretrain decorate DATA/mp_chgnet --cubic --any-elements 0.5 \
        --count 60000 --out new.json.bz2 --exclude STORES/optb88vdw
    cgatjax label new.json.bz2 --calculator chgnet --scan --references DATA/mp_chgnet \
        --reference-property e-form_chgnet --workers 2 --out labeled.json.bz2
    python -m experiments pretrain minima labeled.json.bz2 --out DATA/decorated/minima.json.bz2

A crystal of the archive gives its sites; each of its elements is replaced by one of the same group
of the periodic table that the archive has, or by any, and the cell is scaled to the volume that a
model predicts, for which distances need not be known. Formulas of the archive and of the stores
named by `--exclude` are left out, so that nothing that is labeled then has a known value.

A cubic crystal without free coordinates has nothing but a volume to relax: a scan over the volume
finds its energy. Most of these crystals are unstable, as few known ones are.
"""

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import spglib  # a requirement of pymatgen

import cgatjax as cg
from cgatjax.errors import InputError
from cgatjax.structures import Crystal, reduced_formula
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.element_properties import ELEMENT_PROPERTIES, element_properties
from cgatjax.structures.readers import read_crystals

MOST_SITES = 8
"""Sites of a prototype: a potential labels small cells in hundredths of a second."""
MOST_DRAWS = 10_000
"""Draws without a new formula after which there seems to be none."""
CUBIC = 195
"""First space group of the cubic ones."""
SYMMETRY_TOLERANCE = 0.01
"""Distance in angstrom within which sites are equivalent."""
MOST_ENERGY = 1.5
"""Formation energy in eV/atom above which a decorated crystal is of no use to learn from."""
ENERGY, VOLUME = "e-form_chgnet", "volume_chgnet"
_BATCH = 2000


@click.command()
@click.argument("archive", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Archive to write.")
@click.option("--count", type=int, default=10_000, show_default=True, help="Number of crystals.")
@click.option("--volumes", default="mp-small", show_default=True, help="Model of volumes per atom.")
@click.option("--exclude", multiple=True, help="Store whose formulas are left out.")
@click.option("--cubic", is_flag=True, help="Only cubic prototypes without free coordinates.")
@click.option(
    "--any-elements",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the crystals with any elements, not those of the same group.",
)
@click.option("--seed", type=int, default=0, show_default=True)
def decorate(
    archive: tuple[str, ...],
    out: Path,
    count: int,
    volumes: str,
    exclude: tuple[str, ...],
    cubic: bool,
    any_elements: float,
    seed: int,
) -> None:
    """Put other elements on the sites of known crystals."""
    known = [c for c in read_crystals(list(archive)) if isinstance(c, Crystal)]
    left_out = {reduced_formula(c.atomic_numbers) for c in known}
    left_out.update(formula for path in exclude for formula in cg.open_store(path).all().formulas)
    rng = np.random.default_rng(seed)
    prototypes = [c for c in known if c.n_sites <= MOST_SITES]
    kinds = cubic_kinds(prototypes) if cubic else [prototypes]
    if not any(kinds):
        wanted = "cubic crystals without free coordinates" if cubic else "crystals"
        raise InputError(f"{archive}: expected {wanted} of at most {MOST_SITES} sites, got none")
    drawn = decorations(kinds, left_out, rng, any_elements)
    crystals: list[Crystal] = []
    while len(crystals) < count:
        some = [next(drawn) for _ in range(min(_BATCH, count - len(crystals)))]
        crystals += scaled(some, cg.load_model(volumes))
    write_dcgat(crystals, out)
    click.echo(f"{out}: {len(crystals)} crystals")


@click.command()
@click.argument("labeled", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Archive to write.")
def minima(labeled: tuple[str, ...], out: Path) -> None:
    """Scale crystals to the volumes at which `label --scan` found their energies."""
    found = read_crystals(list(labeled), targets=[ENERGY, VOLUME])
    crystals = [c for c in found if isinstance(c, Crystal)]
    for crystal in crystals:
        if not np.isfinite([crystal.targets[name] for name in (ENERGY, VOLUME)]).all():
            raise InputError(
                f"{crystal.id!r}: expected {ENERGY!r} and {VOLUME!r}; label with --scan"
            )
    useful = [at_minimum(c) for c in crystals if c.targets[ENERGY] <= MOST_ENERGY]
    write_dcgat(useful, out)
    unused = len(crystals) - len(useful)
    click.echo(f"{out}: {len(useful)} crystals, without {unused} above {MOST_ENERGY} eV/atom")


def at_minimum(crystal: Crystal) -> Crystal:
    """Scale the cell to the volume of the energy, which is left as the only property."""
    volume = crystal.targets[VOLUME] * crystal.n_sites
    return dataclasses.replace(
        crystal,
        lattice=crystal.lattice * np.cbrt(volume / crystal.volume),
        targets={ENERGY: crystal.targets[ENERGY]},
        units={ENERGY: crystal.units[ENERGY]},
        origins={ENERGY: crystal.origins[ENERGY]},
    )


def cubic_kinds(crystals: Sequence[Crystal]) -> list[list[Crystal]]:
    """Group the cubic crystals without free coordinates by space group and orbits."""
    kinds: dict[tuple[int, ...], list[Crystal]] = {}
    for crystal in crystals:
        found = _symmetry(crystal)
        if found is not None and found.number >= CUBIC and _is_fixed(crystal, found):
            # How many sites the orbits have: the rest is up to the origin.
            orbits = np.unique(found.equivalent_atoms, return_counts=True)[1]
            kinds.setdefault((found.number, *sorted(orbits.tolist())), []).append(crystal)
    return list(kinds.values())


def _symmetry(crystal: Crystal) -> spglib.SpglibDataset | None:
    arrays = (crystal.lattice, crystal.frac_coords, crystal.atomic_numbers)
    cell = tuple(array.tolist() for array in arrays)
    with warnings.catch_warnings():  # of an option of spglib that pymatgen sets
        warnings.simplefilter("ignore", DeprecationWarning)
        return spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)


def _is_fixed(crystal: Crystal, symmetry: spglib.SpglibDataset) -> bool:
    """Tell whether the symmetry fixes all coordinates of the sites."""
    for site in crystal.frac_coords:
        moved = symmetry.rotations @ site + symmetry.translations - site
        distance = np.linalg.norm((moved - np.round(moved)) @ crystal.lattice, axis=1)
        stays = symmetry.rotations[distance < 10 * SYMMETRY_TOLERANCE]
        # The mean over a group projects onto the displacements that all its rotations keep.
        if np.abs(stays.mean(0)).max() > 1e-6:
            return False
    return True


def decorations(
    kinds: Sequence[Sequence[Crystal]],
    left_out: set[str],
    rng: np.random.Generator,
    any_elements: float = 0.0,
) -> Iterator[Crystal]:
    """Yield decorated prototypes of ever new formulas.

    Args:
      kinds: crystals whose elements are replaced, by kind; kinds are drawn in proportion to the
        square root of their size, crystals of a kind alike.
      left_out: reduced formulas that are known; those of the yielded crystals are added.
      rng: draws prototypes and elements.
      any_elements: share of the crystals whose elements are drawn from all; the others' are of the
        group of the periodic table of those that they replace.

    Raises:
      InputError: `MOST_DRAWS` draws in a row gave no new formula.
    """
    group = element_properties()[:, ELEMENT_PROPERTIES.index("group")]
    elements = np.unique(np.concatenate([c.atomic_numbers for kind in kinds for c in kind]))
    shares = np.sqrt([len(kind) for kind in kinds])
    shares /= shares.sum()
    fruitless = 0
    while fruitless < MOST_DRAWS:
        fruitless += 1
        kind = kinds[int(rng.choice(len(kinds), p=shares))]
        prototype = kind[int(rng.integers(len(kind)))]
        present, places = np.unique(prototype.atomic_numbers, return_inverse=True)
        is_any = rng.random() < any_elements
        drawn = np.array(
            [rng.choice(elements if is_any else elements[group[elements] == group[z]])
             for z in present]
        )  # fmt: skip
        if len(np.unique(drawn)) < len(present):
            continue
        numbers = drawn[places].astype(np.uint8)
        formula = reduced_formula(numbers)
        if formula not in left_out:
            left_out.add(formula)
            fruitless = 0
            yield Crystal(
                id=f"{prototype.id}-{formula}",
                lattice=prototype.lattice,
                frac_coords=prototype.frac_coords,
                atomic_numbers=numbers,
            )
    raise InputError(
        f"{sum(map(len, kinds))} prototypes: {MOST_DRAWS} draws gave no new formula; ask for "
        "fewer crystals, or give more prototypes"
    )


def scaled(crystals: Sequence[Crystal], model: cg.Model) -> list[Crystal]:
    """Scale cells to the volumes per atom that a model predicts."""
    target = next(name for name in model.targets if name.startswith("volume"))
    found = cg.predict(model, list(crystals), on_error="skip", show_progress=False)
    volume = dict(zip(found.ids, found.means[target], strict=True))
    return [
        dataclasses.replace(c, lattice=c.lattice * np.cbrt(volume[c.id] * c.n_sites / c.volume))
        for c in crystals
        if volume.get(c.id, 0) > 0
    ]
