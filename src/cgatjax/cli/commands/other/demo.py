"""`demo`: transfer learning on generated crystals."""

import click

from cgatjax.cli.command_options import command
from cgatjax.runtime import table


@command()
def demo(*, out: str, quick: bool = False) -> None:
    """Demonstrate transfer learning on generated crystals.

    Formation energies of ionic crystals at low and high fidelity, both of a simple model (see
    docs/synthetic_data.md): data, pre-training, three transfer modes, table and figures, in
    minutes. Errors are in meV/atom.

    \b
    cgatjax demo --out demo

    Options:
      out PATH: Folder to create.
      quick: Small sizes, to see that everything runs.
    """
    from cgatjax.demo import DemoConfig, run_demo

    result = run_demo(out, DemoConfig.quick() if quick else DemoConfig(), show_progress=True)
    sizes = result.counts
    click.echo(
        f"\n{sizes['train']} high-fidelity energies for training, {sizes['low']} low-fidelity ones "
        f"for pre-training, {sizes['steps']} steps each; test MAE on {sizes['test']} crystals\n"
    )
    click.echo(table(("mode", "meV/atom", "against none"), result.table()))
    click.echo(f"\n{result.verdict()}")
    click.echo(f"{sum(result.seconds.values()):.0f} s; figures and results.json: {out}")
