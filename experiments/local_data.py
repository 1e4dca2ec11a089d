"""Make the folders of the scale `local` from public files.

    python -m experiments.local_data --structures cif --energies megnet_e_form.json.zip \
        --gaps data_no_structs.json.gz --out data

docs/table1.md tells where the files come from. Folders whose files are not given are left out.
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import click

import cgatjax as cg
from cgatjax.preprocessing.hull import composition_of, hull_energies
from cgatjax.runtime.executors import cores
from cgatjax.runtime.progress import progress
from cgatjax.structures.elements import atomic_number, reduced_formula
from cgatjax.structures.formats import open_stream
from experiments.pickled_frames import read_pickled_frame

MAX_SITES = 40
"""Largest cells that are written."""

PART = 10_000
"""Crystals per file."""

UNCHANGED = 1e-3
"""Relative change of the volume up to which a structure counts as the same."""

RERELAXED = (-0.12, 0.03)
"""Relative changes of the volume that r2SCAN makes."""

E_FORM, HULL, GAP, VOLUME = "e-form", "e_above_hull_new", "band_gap_ind", "volume"
Values = Mapping[str, float]
Crystals = list[cg.Crystal]


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


def structures_of(sources: Iterable[Path], ids: Iterable[str]) -> dict[str, cg.Crystal]:
    """Read crystals by id, each from the first source that has it.

    Args:
      sources: folders of files ID.cif, of which those of the given ids are read, and other files
        with ids, of which all crystals are read.
      ids: wanted ids.
    """
    wanted, found = set(ids), dict[str, cg.Crystal]()
    for source in sources:
        files: list[Path] | Path = source
        if source.is_dir() and any(source.glob("*.cif")):
            paths = [source / f"{i}.cif" for i in sorted(wanted - found.keys())]
            files = [path for path in paths if path.is_file()]
        with progress(str(source), len(files) if isinstance(files, list) else 0) as advance:
            for item in cg.read_crystals(files, targets=[]):
                advance(1, "")
                if isinstance(item, cg.Crystal) and item.n_sites <= MAX_SITES:
                    found.setdefault(item.id, item)
    return found


def chosen(crystals: Mapping[str, cg.Crystal], ids: Iterable[str]) -> Crystals:
    """Return the crystals with given ids, where there are any."""
    return [crystals[i] for i in ids if i in crystals]


def with_values(crystals: Iterable[cg.Crystal], *tables: tuple[str, Values]) -> Crystals:
    """Return the crystals with the values that tables have for their ids."""
    return [
        replace(c, targets={**c.targets, **{n: t[c.id] for n, t in tables if c.id in t}})
        for c in crystals
    ]


def write(crystals: Crystals, folder: Path) -> None:
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


def pbe_crystals(structures: Iterable[cg.Crystal], energies: Values, gaps: Values) -> Crystals:
    """Return crystals with formation energy, gap, volume and signed distance to their hull."""
    crystals = with_values(with_volume(structures), (E_FORM, energies), (GAP, gaps))
    hull = hull_energies(
        [composition_of(c.atomic_numbers) for c in crystals],
        [c.targets[E_FORM] for c in crystals],
        are_formation=True,
        workers=cores(),
    )
    return with_values(
        crystals, (HULL, {c.id: d for c, d in zip(crystals, hull.distance.tolist(), strict=True)})
    )


def joined_by_formula(pbe: Crystals, energies: Values, gaps: Values) -> Crystals:
    """Return the only crystals of their formulas with the values of another functional.

    The PBE values get the ending "_pbe". The formula may belong to another polymorph there.
    """
    formulas = {c.id: reduced_formula(c.atomic_numbers) for c in pbe}
    counts = Counter(formulas.values())
    only = [c for c in pbe if counts[formulas[c.id]] == 1 and formulas[c.id] in energies]
    tables = [
        (name, {c.id: table[formulas[c.id]] for c in only if formulas[c.id] in table})
        for name, table in ((E_FORM, energies), (GAP, gaps))
    ]
    of_pbe = [
        (f"{name}_pbe", {c.id: c.targets[name] for c in only if name in c.targets})
        for name in (E_FORM, GAP)
    ]
    return with_values(with_volume(only), *of_pbe, *tables)


def with_volume(crystals: Iterable[cg.Crystal]) -> Crystals:
    """Return the crystals with their volume as their only value."""
    return [replace(c, targets={VOLUME: c.volume / c.n_sites}) for c in crystals]


def relaxed_again(crystals: Iterable[cg.Crystal], relaxed: Path) -> Crystals:
    """Return crystals with another volume in another set of structures, with both volumes.

    Beyond `RERELAXED`, the set has another crystal or magnetic state, not another functional.
    """
    before = {c.id: c for c in crystals}
    found = []
    for again in structures_of([relaxed], before).values():
        crystal = before[again.id]
        old, new = crystal.volume / crystal.n_sites, again.volume / again.n_sites
        change = new / old - 1
        if abs(change) > UNCHANGED and RERELAXED[0] < change < RERELAXED[1]:
            found.append(replace(crystal, targets={VOLUME: new, f"{VOLUME}_pbe": old}))
    return found


def reaction_energies(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the formation energies of RxnNet's tables: id -> eV/atom, r2SCAN and GGA(+U)."""
    r2scan: dict[str, float] = {}
    pbe: dict[str, float] = {}
    for file in sorted(folder.rglob("datasets/*.pkl.gz")):
        table = read_pickled_frame(file)
        if {"hf_r2scan", "hf_gga_gga_u"} <= table.keys():
            r2scan |= table["hf_r2scan"]
            pbe |= table["hf_gga_gga_u"]
    return r2scan, pbe


FILE = click.Path(exists=True, path_type=Path)


@click.command()
@click.option(
    "--structures",
    type=FILE,
    required=True,
    multiple=True,
    help="CIF folder, or file with ids mp-N; again for further ones, the first has precedence.",
)
@click.option("--energies", type=FILE, required=True, help="megnet_e_form.json.zip.")
@click.option("--gaps", type=FILE, required=True, help="data_no_structs.json.gz.")
@click.option("--jarvis", type=FILE, help="Folder data/ of CrossPropertyTL: optb88vdw.")
@click.option("--relaxed", type=FILE, help="Structures relaxed again with r2SCAN: r2scan_volume.")
@click.option("--reactions", type=FILE, help="Folder rxnnet/data of RxnNet: r2scan_eform.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Data folder.")
def main(
    structures: tuple[Path, ...],
    energies: Path,
    gaps: Path,
    jarvis: Path | None,
    relaxed: Path | None,
    reactions: Path | None,
    out: Path,
) -> None:
    """Make the data folders of the scale `local` from public files."""
    table, known = merged(read_json(energies)), read_json(gaps)
    r2scan, gga = reaction_energies(reactions) if reactions is not None else ({}, {})
    crystals = structures_of(structures, table.keys() | known["hse"].keys() | r2scan.keys())
    pbe = pbe_crystals(chosen(crystals, table), table, known["pbe"])
    write(pbe, out / "pbe")
    hse = with_volume(chosen(crystals, known["hse"]))
    pbe_gaps = (f"{GAP}_pbe", known["pbe"])
    write(with_values(hse, (GAP, known["hse"]), pbe_gaps), out / "hse")
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
        write(relaxed_again(crystals.values(), relaxed), out / "r2scan_volume")
    if reactions is not None:
        pair = [c for c in chosen(crystals, r2scan) if c.id in gga]
        values = (E_FORM, r2scan), (f"{E_FORM}_pbe", gga)
        write(with_values(with_volume(pair), *values), out / "r2scan_eform")


if __name__ == "__main__":
    main()
