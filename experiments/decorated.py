"""Crystals that nobody has computed: other elements on the sites of known ones.

    python -m experiments pretrain decorate DATA/mp_chgnet --count 10000 --out decorated.json.bz2 \
        --exclude STORES/optb88vdw
    cgatjax label decorated.json.bz2 --calculator chgnet --references known.json.bz2 \
        --reference-property e-form_chgnet --out labeled.json.bz2

A crystal of the archive gives its sites; each of its elements is replaced by one of the same group
of the periodic table that the archive has, and the cell is scaled to the volume that a model
predicts, for which distances need not be known. Formulas of the archive and of the stores named by
`--exclude` are left out, so that nothing that is labeled then has a known value.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np

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
_BATCH = 2000


@click.command()
@click.argument("archive", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Archive to write.")
@click.option("--count", type=int, default=10_000, show_default=True, help="Number of crystals.")
@click.option("--volumes", default="mp-small", show_default=True, help="Model of volumes per atom.")
@click.option("--exclude", multiple=True, help="Store whose formulas are left out.")
@click.option("--seed", type=int, default=0, show_default=True)
def decorate(
    archive: tuple[str, ...],
    out: Path,
    count: int,
    volumes: str,
    exclude: tuple[str, ...],
    seed: int,
) -> None:
    """Put other elements on the sites of known crystals."""
    known = [c for c in read_crystals(list(archive)) if isinstance(c, Crystal)]
    left_out = {reduced_formula(c.atomic_numbers) for c in known}
    left_out.update(formula for path in exclude for formula in cg.open_store(path).all().formulas)
    rng = np.random.default_rng(seed)
    prototypes = [c for c in known if c.n_sites <= MOST_SITES]
    if not prototypes:
        raise InputError(f"{archive}: expected crystals of at most {MOST_SITES} sites, got none")
    drawn = decorations(prototypes, left_out, rng)
    crystals: list[Crystal] = []
    while len(crystals) < count:
        some = [next(drawn) for _ in range(min(_BATCH, count - len(crystals)))]
        crystals += scaled(some, cg.load_model(volumes))
    write_dcgat(crystals, out)
    click.echo(f"{out}: {len(crystals)} crystals")


def decorations(
    prototypes: Sequence[Crystal], left_out: set[str], rng: np.random.Generator
) -> Iterator[Crystal]:
    """Yield decorated prototypes of ever new formulas.

    Args:
      prototypes: crystals whose elements are replaced.
      left_out: reduced formulas that are known; those of the yielded crystals are added.
      rng: draws prototypes and elements.

    Raises:
      InputError: `MOST_DRAWS` draws in a row gave no new formula.
    """
    group = element_properties()[:, ELEMENT_PROPERTIES.index("group")]
    elements = np.unique(np.concatenate([c.atomic_numbers for c in prototypes]))
    fruitless = 0
    while fruitless < MOST_DRAWS:
        fruitless += 1
        prototype = prototypes[int(rng.integers(len(prototypes)))]
        present, kinds = np.unique(prototype.atomic_numbers, return_inverse=True)
        drawn = np.array([rng.choice(elements[group[elements] == group[z]]) for z in present])
        if len(np.unique(drawn)) < len(present):
            continue
        numbers = drawn[kinds].astype(np.uint8)
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
        f"{len(prototypes)} prototypes: {MOST_DRAWS} draws gave no new formula; ask for fewer "
        "crystals, or give more prototypes"
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
