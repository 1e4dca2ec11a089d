"""Write docs/archives.md from the data contracts: PYTHONPATH=src python docs/archives.py."""

from pathlib import Path

from cgatjax.structures.archives.contracts import CONTRACTS, Contract

PAGE = Path(__file__).with_name("archives.md")
TEST = "tests/structures/archives/test_archives.py"

HEAD = """# Archives by name

Files of these archives are read as they are, whatever their name: `cgatjax info FILE` shows what is
in one, `cgatjax featurize FILE...` makes a store of it. A file is recognized by its content (gzip,
bzip2 and zip included), each row by its keys. Properties keep the name that they have in the
archive, and get its unit. Where a row states its functional, the name is `NAME@FUNCTIONAL`
(`energy@PBE`), so that values of two functionals never stand in one column. Missing values stay
missing.

    cgatjax info lemat/*.parquet
    cgatjax featurize mp_docs.json --where thermo_type=R2SCAN --out r2scan.store
    cgatjax hull lemat/ --energy energy@PBE --kind cell --where functional=PBE \\
        --where cross_compatibility=true --out lemat-hull
    cgatjax featurize lemat-hull/ --out lemat.store --target e-form@PBE --recommended

- **Checked against.** The archives could not be opened when the readers were written. They follow
  the published lists of fields and are tested on files written after these lists; the tables say
  what was also compared with a real file. Run `cgatjax info` first, and compare its ranges with
  what you know of the data.
- **Energies per cell** cannot be trained on: `--per-atom NAME` divides them, and `hull` makes
  formation energies of them, within one functional: a property `energy@PBE` exists only in the
  rows of PBE, and gives `e-form@PBE`.
- **One name for a transfer.** A head is reused for the property of its own name (before `@`);
  `--rename formation_energy_per_atom@r2SCAN=e-form@r2SCAN` makes MatPES fit a model of `e-form`.
- **Which rows are compatible** (corrections, +U, pseudopotentials) is your decision: `--where`
  keeps the rows of which the file states something, such as `cross_compatibility=true` of
  LeMat-Bulk. Without it all rows are read.
- **Size.** Parquet is read in batches of rows and JSON beyond 32 MB as a stream of entries, so that
  memory is bounded. A million rows in the layout of LeMat-Bulk take about a minute on one core,
  checks included; a stream of JSON takes a fraction of the memory of a file that is parsed at once.
  Of a damaged large file the crystals before the damage are kept with `--on-error skip`, and the
  damage is listed.
- **JSON of one item per line** and pandas tables as JSON (`{column: {row: value}}`) are read, too.

Structures in CIF or POSCAR files with a table of values, as of GNoME, are read by `featurize cifs/
--properties TABLE.csv` ([Your own data](guides/own_data.md)).
"""


def section(contract: Contract) -> str:
    """Return the section of an archive."""
    rows = [
        f"| `{f.name}` | {f.unit or 'unknown'} | {f.note} | `[{contract.name}-{f.name}]` |"
        for f in contract.fields
    ]
    labels = ", ".join(f"`{name}`" for name in contract.labels) or "none"
    return "\n".join(
        [
            f"## {contract.name}",
            "",
            "| | |",
            "|---|---|",
            f"| layout | {contract.layout} |",
            f"| functional | {contract.functional} |",
            f"| missing values | {contract.missing} |",
            f"| labels for `--where` | {labels} |",
            f"| checked against | {contract.checked} |",
            "",
            "| property | unit | note | test |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def page() -> str:
    """Return the page: a table of properties, units and tests for each archive."""
    tests = (
        "The tests in the tables are cases of `test_a_property_is_read_in_its_unit` in\n"
        f"`{TEST}`.\n"
    )
    return "\n".join([HEAD, tests, *(section(contract) for contract in CONTRACTS)])


if __name__ == "__main__":
    PAGE.write_text(page())
