"""`screen`: predictions for very many decorations of prototypes, or for a stream of structures."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cgatjax import ConfigError, InputError
from cgatjax.cli.command_options import (
    FOR_DIFFERENCES,
    command,
    on_error_option,
    option,
    properties_option,
    uncertainty_option,
)
from cgatjax.runtime.text_tables import fields, table

if TYPE_CHECKING:
    from cgatjax import CompositionFilter, Keep, Uncertainty

SHOWN = 10
"""Number of best rows that are printed."""
DEFAULT_BEST = 1000


@command()
@click.argument("run", type=click.Path())
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@option(
    "--prototype",
    "prototypes",
    multiple=True,
    metavar="NAME",
    group="Candidates",
    help="Structure type of the library instead of INPUT, such as rocksalt, perovskite or spinel, "
    "with the classes A, B, C of cations and X, Y of anions; a wrong name lists all. Repeatable.",
)
@option(
    "--elements",
    multiple=True,
    metavar="CLASS=LIST",
    group="Candidates",
    help="Elements for a class of sites, such as Sr=Ca,Sr,Ba. CLASS is an element of the "
    "prototype, its number from 1, or * for all others; LIST may be all. Repeatable. Without this "
    "option INPUT are the structures themselves, not prototypes.",
)
@option(
    "--classes",
    type=click.Choice(["element", "orbit"]),
    default="element",
    show_default=True,
    group="Candidates",
    help="Sites that get the same element: those of one element, or those equivalent by symmetry.",
)
@properties_option("Candidates", purpose=FOR_DIFFERENCES)
@on_error_option("Stop at an unusable structure, or skip and list it.", "Candidates")
@option(
    "--neutral",
    is_flag=True,
    group="Filters",
    help="Keep compositions whose oxidation states can add up to zero.",
)
@option(
    "--electronegativity",
    is_flag=True,
    group="Filters",
    help="Keep neutral compositions with every cation less electronegative than every anion.",
)
@option(
    "--oxidation-states",
    type=click.Choice(["icsd", "common"]),
    default="icsd",
    show_default=True,
    group="Filters",
    help="Oxidation states that occur in the ICSD, or the most common ones.",
)
@option("--allowed", metavar="LIST", group="Filters", help="Elements that may occur.")
@option("--forbidden", metavar="LIST", group="Filters", help="Elements that may not occur.")
@option(
    "--distinct", is_flag=True, group="Filters", help="Require different elements in the classes."
)
@option(
    "--keep-unseen",
    is_flag=True,
    group="Filters",
    help="Keep candidates with elements that the model was never trained on, whose predictions "
    "cannot be trusted.",
)
@option(
    "--min-elements",
    type=int,
    default=1,
    show_default=True,
    group="Filters",
    help="Smallest number of elements.",
)
@option(
    "--function",
    metavar="MODULE:NAME",
    default="",
    group="Filters",
    help="Python function that keeps a composition if it returns True, called with the symbols and "
    "amounts of the classes.",
)
@option("--target", metavar="NAME", group="Ranking", help="Property, if the run predicts several.")
@uncertainty_option("Ranking")
@option(
    "--best",
    type=int,
    group="Ranking",
    help="Number of predictions to keep.",
    default_note="1000 without --below, --above and --all",
)
@option("--below", type=float, group="Ranking", help="Keep predictions below this, in their unit.")
@option("--above", type=float, group="Ranking", help="Keep predictions above this, in their unit.")
@option("--all", "everything", is_flag=True, group="Ranking", help="Keep all predictions.")
@option(
    "--highest", is_flag=True, group="Ranking", help="Rank from the highest prediction downward."
)
@option(
    "--hull",
    multiple=True,
    metavar="INPUT",
    group="Output",
    help="Known phases with formation energies in eV/atom, such as the output of `hull`: the "
    "column hull_distance then has the predicted energies above their hull. Repeatable.",
)
@option(
    "--hull-energy",
    metavar="NAME",
    default="e-form",
    show_default=True,
    group="Output",
    help="Property of the known phases with the formation energy.",
)
@option("--out", required=True, type=click.Path(), group="Output", help="Folder to create.")
@option(
    "--structures",
    type=int,
    default=10,
    show_default=True,
    group="Output",
    help="Number of the best candidates to write as CIF files, not relaxed.",
)
@option(
    "--resume",
    is_flag=True,
    group="Output",
    help="Resume an interrupted screening; start it if there is nothing yet.",
)
@option(
    "--batch-size",
    type=int,
    group="Hardware",
    help="Candidates per batch.",
    default_note="chosen by sizes and device",
)
@option(
    "--chunk-rows",
    type=int,
    group="Hardware",
    help="Candidates per chunk on disk.",
    default_note="16384",
)
def screen(
    run: str,
    inputs: tuple[str, ...],
    prototypes: tuple[str, ...],
    out: str,
    elements: tuple[str, ...],
    classes: str,
    target: str | None,
    resume: bool,
    batch_size: int | None,
    chunk_rows: int | None,
    properties: str | None,
    on_error: str,
    uncertainty: "Uncertainty | None",
    hull: tuple[str, ...],
    **options: Any,
) -> None:
    """Screen decorations of prototypes, or structures, and keep the best.

    Each class of sites of each prototype takes each element of its list, unless a filter rejects
    the composition. Candidates with elements that the model was never trained on are left out.
    OUT/best.csv has the best 1000 rows and OUT/structures CIF files of the first of them;
    OUT/results has sorted Parquet files with id, prototype, formula, elements of the classes, mean,
    standard deviation and its source, 90 % interval, unit, distance to the hull of known phases,
    and elements that the model has hardly or never seen; OUT/report.json counts what was left out,
    by reason. INPUT: as for `featurize`, or a store.

    \b
    cgatjax screen runs/scan --prototype perovskite --elements A=Ca,Sr,Ba --elements B=Ti,Zr,Hf \\
        --elements X=O,S --out hits
    cgatjax screen runs/scan SrTiO3.cif --elements Sr=all --elements Ti=all --elements O=O,S,F \\
        --electronegativity --best 1000 --out hits
    cgatjax screen runs/scan prototypes/ --elements '*=all' --neutral --below 0.05 --out hits
    cgatjax screen runs/scan candidates.json.bz2 --best 500 --out hits

    After a kill, the same command with --resume continues; the results are the same to the byte.
    """
    from cgatjax import find_prototype, load_predictor, read_hull
    from cgatjax import screen as screen_candidates
    from cgatjax.cli.data_files import store_or_files
    from cgatjax.screening.screen_loop import CHUNK_ROWS

    lists = _lists(elements)
    if not (inputs or prototypes):
        raise InputError("expected INPUT or --prototype NAME, got none")
    if prototypes and not lists:
        raise InputError("--prototype: expected the elements of its classes, --elements CLASS=LIST")
    types = [find_prototype(name) for name in prototypes]
    if options["function"]:
        sys.path.append(os.getcwd())
    done = screen_candidates(
        load_predictor(run, uncertainty),
        [*types, *inputs] if lists else store_or_files(inputs),
        Path(out),
        elements=lists or None,
        classes=classes,  # type: ignore[arg-type]
        filters=_filters(options),
        keep=_keep(options),
        target=target,
        structures=options["structures"],
        keep_unseen=options["keep_unseen"],
        hull=read_hull(hull, options["hull_energy"], "skip") if hull else None,
        resume=resume,
        chunk_rows=chunk_rows or CHUNK_ROWS,
        batch_size=batch_size,
        properties=properties,
        on_error=on_error,  # type: ignore[arg-type]
        show_progress=True,
    )
    _show(done.report, done.results)


def _lists(elements: tuple[str, ...]) -> dict[str, Any]:
    """Symbols, or "all", by class, from CLASS=LIST."""
    lists: dict[str, Any] = {}
    for text in elements:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise InputError(f"--elements {text!r}: expected CLASS=LIST, such as Sr=Ca,Sr,Ba")
        if name in lists:
            raise InputError(f"--elements: class {name!r} was given twice")
        lists[name] = "all" if values == "all" else _symbols(values)
    return lists


def _symbols(text: str | None) -> tuple[str, ...]:
    return tuple(s.strip() for s in (text or "").split(",") if s.strip())


def _filters(options: dict[str, Any]) -> "CompositionFilter":
    from cgatjax import CompositionFilter

    ordered = options["electronegativity"]
    return CompositionFilter(
        allowed=_symbols(options["allowed"]),
        forbidden=_symbols(options["forbidden"]),
        distinct=options["distinct"],
        min_elements=options["min_elements"],
        charge="ordered" if ordered else "neutral" if options["neutral"] else "any",
        states=options["oxidation_states"],
        function=options["function"],
    )


def _keep(options: dict[str, Any]) -> "Keep":
    from cgatjax import Keep

    best, below, above = (options[name] for name in ("best", "below", "above"))
    chosen = [value for value in (best, below, above) if value is not None]
    if options["everything"] and chosen:
        raise ConfigError("--all goes with none of --best, --below, --above")
    if not chosen and not options["everything"]:
        best = DEFAULT_BEST
    return Keep(best=best, below=below, above=above, highest=options["highest"])


def _show(report: dict[str, Any], results: Path) -> None:
    """Print the counts and the best rows."""
    from cgatjax.screening.ranked_parquet import read_rows

    seconds = report["seconds"]["predict"]
    click.echo(
        fields(
            {
                "candidates": report["seen"],
                **{f"left out: {reason}": n for reason, n in report["left_out"].items()},
                "structures skipped": report["skipped"],
                "predicted": report["predicted"],
                "kept": report["rows"],
                "seconds": seconds,
                "predicted per second": report["candidates_per_second"],
            }
        )
    )
    if report["rows"]:
        rows = read_rows(sorted(results.glob("*.parquet"))[0]).slice(0, SHOWN).to_pylist()
        unit = report["unit"] or "?"
        names = {"id": "id", "formula": "formula", "mean": f"{report['target']} ({unit})"}
        names |= {"std": "std", "hull_distance": "above hull", "rare_elements": "rare elements"}
        shown = [n for n in names if n == "std" or any(row[n] is not None for row in rows)]
        lines = [tuple("" if row[n] is None else row[n] for n in shown) for row in rows]
        header = tuple(names[n] for n in shown)
        click.echo(table(header, lines))
    click.echo(f"std: {report['std_note']}")
    click.echo(f"{results.parent}: best.csv, structures, results")
