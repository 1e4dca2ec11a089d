"""Contents of structure files, as text."""

from collections.abc import Mapping, Sequence

import click

import cgatjax as cg
from cgatjax.cli.data_files import echo_skipped
from cgatjax.runtime import table

SHOWN_ELEMENTS = 12
"""Number of elements that are listed with their counts."""

SHOWN_LABELS = 8
"""Number of values of a label that are listed."""


def show_files(inputs: Sequence[str], where: Mapping[str, str]) -> None:
    """Print archives, counts, functionals, properties, sizes and elements of structure files."""
    found = cg.summarize_data(list(inputs), where=where, show_progress=True)
    click.echo(f"{found.n_crystals} crystals, {found.n_rejected} unusable")
    echo_skipped(found.rejected, None)
    for contract in found.contracts:
        click.echo(
            f"{contract.name} ({found.archives[contract.name]} files); "
            f"functional: {contract.functional}; checked against: {contract.checked}"
        )
    for name, values in found.labels.items():
        counts = ", ".join(f"{value} {n}" for value, n in values.most_common(SHOWN_LABELS))
        click.echo(f"{name}: {counts}")
    click.echo(f"\nproperties\n{_properties(found)}")
    for p in found.properties.values():
        if p.suspicion:
            click.echo(f"suspicious: {p.name} ({p.unit or 'unit unknown'}): {p.suspicion}")
    if found.sites:
        few, half, most = (found.sites_at(share) for share in (0.0, 0.5, 0.95))
        click.echo(
            f"\nsites per cell: {few} to {max(found.sites)}, median {half}, 95 % at most {most}"
        )
    common = ", ".join(f"{s} {n}" for s, n in found.elements.most_common(SHOWN_ELEMENTS))
    more = len(found.elements) - SHOWN_ELEMENTS
    click.echo(f"{len(found.elements)} elements: {common}{f' and {more} more' if more > 0 else ''}")


def _properties(found: cg.DataSummary) -> str:
    rows = []
    for p in found.properties.values():
        missing = f"{1 - p.known / found.n_crystals:.1%}"
        rows.append((p.name, p.unit or "?", p.known, missing, p.mean, p.std, p.minimum, p.maximum))
    header = ("name", "unit", "known", "missing", "mean", "std", "min", "max")
    return table(header, rows) if rows else "  none"
