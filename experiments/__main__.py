"""Run the command line of the experiments."""

import sys

from cgatjax.runtime.allocator import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()  # before the commands import pyarrow
    import click

    from cgatjax.errors import CgatjaxError
    from experiments.commands import main

    try:
        main.main(standalone_mode=True)
    except CgatjaxError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
