"""What `train` and `transfer` say and refuse with --ensemble."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cgatjax.cli.plots import draw_learning
from cgatjax.cli.text_tables import table
from cgatjax.data.datasets import Dataset
from cgatjax.errors import ConfigError
from cgatjax.inference.loading import is_ensemble
from cgatjax.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from cgatjax.inference.predictor import Predictor
    from cgatjax.training.history import History


def checked_size(out: str, flags: Mapping[str, Any]) -> int | None:
    """Members that --ensemble asks for, None for an ordinary run.

    Raises:
      ConfigError: fewer than two, --side-by-side without them, or an ensemble is resumed as if it
        were an ordinary run.
    """
    size: int | None = flags["ensemble"]
    if size is None and flags["resume"] and is_ensemble(out):
        raise ConfigError(f"{out} is an ensemble; resume it with --ensemble N, too")
    if size is None and flags["side_by_side"]:
        raise ConfigError("--side-by-side belongs to --ensemble N")
    if size is not None and size < 2:
        raise ConfigError(f"--ensemble: expected at least 2 members, got {size}")
    return size


def report_ensemble(
    run: RunFolder | None,
    found: "Predictor",
    histories: "Sequence[History]",
    valid: Dataset,
    *,
    plots: bool,
) -> None:
    """Validation errors of the members and of their mean. One process speaks for all."""
    if run is None:
        return
    from cgatjax.inference.prediction import evaluate

    alone = [evaluate(member, valid) for member in found.members]
    together = evaluate(found, valid)
    rows = []
    for target in found.targets:
        for name, errors in (*enumerate(alone), ("together", together)):
            own = errors[target] if len(found.targets) > 1 else errors
            rows.append((target, found.units[target] or "?", str(name), own["mae"], own["rmse"]))
    click.echo(table(("target", "unit", "member", "valid MAE", "valid RMSE"), rows))
    seconds = sum(sum(history.seconds.values()) for history in histories)
    click.echo(f"{len(alone)} members, {seconds:.0f} s; {run.path}: members/0, members/1, ...")
    if plots:
        draw_learning(run.path, found.model, [history.rows for history in histories])
