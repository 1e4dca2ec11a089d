"""Make the folders of the scale `local` from public files.

    python -m experiments.local_data --structures cif --energies megnet_e_form.json.zip \
        --gaps data_no_structs.json.gz --out data

docs/table1.md tells where the files come from. Folders whose files are not given are left out.
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click

import cgatjax as cg
from cgatjax.preprocessing.hull import composition_of, hull_energies
from cgatjax.runtime.executors import cores
from cgatjax.runtime.progress import progress
from cgatjax.structures.elements import atomic_number, reduced_formula
from cgatjax.structures.formats import open_stream

MAX_SITES = 40
"""Largest cells that are written."""

PART = 10_000
"""Crystals per file."""

RERELAXED = 2e-3
"""Relative change of the volume from which a structure counts as relaxed again."""

E_FORM, HULL, GAP, VOLUME = "e-form", "e_above_hull_new", "band_gap_ind", "volume"
Values = Mapping[str, float]


def read_json(path: Path) -> dict[str, dict[str, float]]:
    """Return the tables of a JSON file, {name: {id: number}}, with numbers instead of texts."""
    with open_stream(path) as stream:
        tables = json.load(stream)
    return {
        name: {key: float(value) for key, value in rows.items() if value is not None}
        for name, rows in tables.items()
    }


def merged(tables: Mapping[str, Values]) -> dict[str, float]:
    """Return one table of the training, validation and test parts of a benchmark."""
    return {key: value for rows in tables.values() for key, value in rows.items()}


def by_formula(files: Iterable[Path], column: str) -> dict[str, float]:
    """Return reduced formula -> value of tables of compositions; formulas given twice are out."""
    found: dict[str, list[float]] = {}
    for file in files:
        with open(file, newline="") as lines:
            for row in csv.DictReader(lines):
                formula = reduced(row["pretty_comp"])
                if formula:
                    found.setdefault(formula, []).append(float(row[column]))
    return {formula: values[0] for formula, values in found.items() if len(values) == 1}


def reduced(formula: str) -> str:
    """Return the key of a formula such as "Na2Ca2(CO3)3", "" for one with an unknown element."""
    from pymatgen.core import Composition

    amounts = Composition(formula).get_el_amt_dict()
    try:
        numbers = [atomic_number(symbol) for symbol in amounts]
    except cg.StructureError:
        return ""
    return reduced_formula(numbers, [round(amount) for amount in amounts.values()])


def structures_of(source: Path, ids: Iterable[str]) -> Iterator[cg.Crystal]:
    """Yield the crystals with given ids, from a folder of CIF files or any file with ids."""
    wanted = set(ids)
    files: list[Path] | Path = source
    if source.is_dir() and any(source.glob("*.cif")):
        files = [p for p in (source / f"{i}.cif" for i in sorted(wanted)) if p.is_file()]
    with progress(str(source), len(wanted)) as advance:
        for item in cg.read_crystals(files, targets=[]):
            if isinstance(item, cg.Crystal) and item.id in wanted and item.n_sites <= MAX_SITES:
                advance(1, "")
                yield item


def with_values(crystals: Iterable[cg.Crystal], *tables: tuple[str, Values]) -> list[cg.Crystal]:
    """Return the crystals with the values that tables have for their ids."""
    return [
        replace(c, targets={**c.targets, **{n: t[c.id] for n, t in tables if c.id in t}})
        for c in crystals
    ]


def write(crystals: list[cg.Crystal], folder: Path) -> None:
    """Write a folder of DCGAT files; an existing one is an error."""
    if folder.exists():
        raise cg.RunExistsError(f"{folder} exists; remove it to make it again")
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)  # left by a killed run
    part.mkdir(parents=True)
    for start in range(0, len(crystals), PART):
        name = f"{folder.name}_{start // PART:03d}.json.bz2"
        cg.write_dcgat(crystals[start : start + PART], part / name)
    part.rename(folder)
    click.echo(f"{folder}: {len(crystals)} crystals")


def pbe_crystals(structures: Path, energies: Values, gaps: Values) -> list[cg.Crystal]:
    """Return crystals with formation energy, gap, volume and signed distance to their hull."""
    crystals = [
        replace(c, targets={VOLUME: c.volume / c.n_sites})
        for c in structures_of(structures, energies)
    ]
    crystals = with_values(crystals, (E_FORM, energies), (GAP, gaps))
    hull = hull_energies(
        [composition_of(c.atomic_numbers) for c in crystals],
        [c.targets[E_FORM] for c in crystals],
        are_formation=True,
        workers=cores(),
    )
    return with_values(
        crystals, (HULL, {c.id: d for c, d in zip(crystals, hull.distance.tolist(), strict=True)})
    )


def joined_by_formula(pbe: list[cg.Crystal], energies: Values, gaps: Values) -> list[cg.Crystal]:
    """Return the only crystals of their formulas with the values of another functional.

    The PBE values get the ending "_pbe". The formula may belong to another polymorph there.
    """
    formulas = {c.id: reduced_formula(c.atomic_numbers) for c in pbe}
    counts = Counter(formulas.values())
    chosen = [c for c in pbe if counts[formulas[c.id]] == 1 and formulas[c.id] in energies]
    tables = [
        (name, {c.id: table[formulas[c.id]] for c in chosen if formulas[c.id] in table})
        for name, table in ((E_FORM, energies), (GAP, gaps))
    ]
    return with_values(with_pbe(chosen, E_FORM, GAP), *tables)


def with_pbe(crystals: Iterable[cg.Crystal], *names: str) -> list[cg.Crystal]:
    """Return the crystals with the named values under NAME_pbe, and their volume."""
    return [
        replace(
            c,
            targets={
                **{f"{n}_pbe": c.targets[n] for n in names if n in c.targets},
                VOLUME: c.volume / c.n_sites,
            },
        )
        for c in crystals
    ]


def relaxed_again(pbe: list[cg.Crystal], relaxed: Path) -> list[cg.Crystal]:
    """Return the crystals whose volume another set of structures has changed, with both volumes."""
    other = {c.id: c for c in structures_of(relaxed, [c.id for c in pbe])}
    found = []
    for crystal in pbe:
        before, again = crystal.volume / crystal.n_sites, other.get(crystal.id)
        if again is None:
            continue
        after = again.volume / again.n_sites
        if abs(after / before - 1) > RERELAXED:
            found.append(replace(crystal, targets={VOLUME: after, f"{VOLUME}_pbe": before}))
    return found


FILE = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--structures", type=FILE, required=True, help="CIF folder, or file with ids mp-N.")
@click.option("--energies", type=FILE, required=True, help="megnet_e_form.json.zip.")
@click.option("--gaps", type=FILE, required=True, help="data_no_structs.json.gz.")
@click.option("--jarvis", type=FILE, help="Folder data/ of CrossPropertyTL: optb88vdw.")
@click.option("--relaxed", type=FILE, help="Structures relaxed again with r2SCAN: r2scan_volume.")
@click.option("--r2scan", type=FILE, help="Documents of the type R2SCAN: r2scan_eform.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Data folder.")
def main(
    structures: Path,
    energies: Path,
    gaps: Path,
    jarvis: Path | None,
    relaxed: Path | None,
    r2scan: Path | None,
    out: Path,
) -> None:
    """Make the data folders of the scale `local` from public files."""
    table, known = merged(read_json(energies)), read_json(gaps)
    pbe = pbe_crystals(structures, table, known["pbe"])
    write(pbe, out / "pbe")
    hse = structures_of(structures, known["hse"])
    pbe_gaps = (f"{GAP}_pbe", known["pbe"])
    write(with_values(with_pbe(hse), (GAP, known["hse"]), pbe_gaps), out / "hse")
    if jarvis is not None:
        tables = [
            by_formula(sorted((jarvis / name).glob("*_set.csv")), column)
            for name, column in (
                ("deltae", "formation_energy_peratom"),
                ("optb88vdw_bandgap", "optb88vdw_bandgap"),
            )
        ]
        write(joined_by_formula(pbe, *tables), out / "optb88vdw")
    if relaxed is not None:
        write(relaxed_again(pbe, relaxed), out / "r2scan_volume")
    if r2scan is not None:
        name = "formation_energy_per_atom@r2SCAN"
        found = cg.read_crystals(r2scan, targets=[name])
        values = {c.id: c.targets[name] for c in found if isinstance(c, cg.Crystal)}
        chosen = [c for c in pbe if c.id in values]
        write(with_values(with_pbe(chosen, E_FORM), (E_FORM, values)), out / "r2scan_eform")


if __name__ == "__main__":
    main()
