"""Experiment: rows to train at a scale, and the tables and figures made of the finished rows."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cgatjax as cg
from cgatjax.errors import ConfigError
from experiments.grid.datasets import DatasetSource
from experiments.grid.pool import TrainingPool
from experiments.grid.section import Content, Section
from experiments.grid.training import Row, Training

DISPLAY_UNITS = {"volume": (1.0, "A^3/atom"), "band_gap_ind": (1.0, "eV")}
"""Property -> (factor on errors, unit) in tables and figures; energies are shown in meV/atom."""


@dataclass(frozen=True, kw_only=True)
class TargetSet:
    """Properties of one transfer, as in a row of Table 1.

    Attributes:
      name: name in tables and figures.
      low, low_target: data set and property of the pre-training (low fidelity).
      high, high_target: data set and property of the transfer (high fidelity).
      low_value: property of the high-fidelity data set that is the low-fidelity value of the same
        crystals, the baseline of delta learning; "" if it is not known.
      size: training crystals of the transfer; None for all.
      minimum: exclusive lower bound of the values in both data sets.
      held_out: data sets whose validation and test formulas are excluded from pre-training.
    """

    name: str
    low: str
    low_target: str
    high: str
    high_target: str
    low_value: str = ""
    size: int | None = None
    minimum: float | None = None
    held_out: tuple[str, ...]

    @property
    def factor(self) -> float:
        """Factor from the errors of a training to the errors shown."""
        return self._display[0]

    @property
    def unit(self) -> str:
        """Unit of the errors shown."""
        return self._display[1]

    @property
    def _display(self) -> tuple[float, str]:
        return DISPLAY_UNITS.get(self.high_target.split("@")[0], (1000.0, "meV/atom"))

    def with_graphs(self, suffix: str) -> "TargetSet":
        """Return the same crystals as other graphs (`GRAPH_VARIANTS`); ids and splits are equal."""
        if not suffix:
            return self
        low, high, *others = (f"{name}-{suffix}" for name in (self.low, self.high, *self.held_out))
        return dataclasses.replace(self, low=low, high=high, held_out=tuple(others))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Data, network, training options, sizes and seeds that the experiments share.

    Attributes:
      name: smoke, local or paper.
      about: differences from the paper in data and scale.
      sources: data sets.
      target_sets: rows of Table 1; the other experiments use the first one.
      property_pairs: transfers between different properties.
      model: network.
      pretrain_options, transfer_options: training options.
      pretrain_steps, transfer_steps: optimizer steps, the same for all modes and sizes.
      rates: candidate peak learning rates of the transfer.
      seeds: seeds of subsets, initialization and shuffling.
      train_sizes, pretrain_sizes: sizes of the learning curves; None for all crystals.
      ablations: names of `ablations.VARIANTS`.
      ablation_seeds: seeds of all variants but the standard one, which has all seeds.
      recipes: names of `recipe.RECIPES`, for trainings from scratch.
      costs: relative computing time of a low-fidelity and of a high-fidelity calculation.
    """

    name: str
    about: str
    sources: Mapping[str, DatasetSource]
    target_sets: tuple[TargetSet, ...]
    property_pairs: tuple[TargetSet, ...]
    model: cg.ModelConfig
    pretrain_options: cg.TrainConfig
    transfer_options: cg.TrainConfig
    pretrain_steps: int
    transfer_steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    train_sizes: tuple[int | None, ...]
    pretrain_sizes: tuple[int | None, ...]
    ablations: tuple[str, ...]
    ablation_seeds: tuple[int, ...]
    recipes: tuple[str, ...] = ()
    costs: tuple[float, float] = (1.0, 5.0)

    def with_seeds(self, count: int | None) -> "Scale":
        """Return the scale with the first `count` seeds; None for all of them.

        Raises:
          ConfigError: fewer than one.
        """
        if count is None:
            return self
        if count < 1:
            raise ConfigError(f"seeds: expected at least 1, got {count}")
        return dataclasses.replace(
            self, seeds=self.seeds[:count], ablation_seeds=self.ablation_seeds[:count]
        )

    def pretraining(self, targets: TargetSet, seed: int, size: int | None = None) -> Training:
        """Return the training on the low-fidelity data."""
        return Training(
            data=targets.low,
            target=targets.low_target,
            size=size,
            minimum=targets.minimum,
            held_out=targets.held_out,
            model=self.model,
            train=self.pretrain_options,
            steps=self.pretrain_steps,
            seed=seed,
        )

    def transfer(
        self, targets: TargetSet, mode: str, seed: int, size: int | None, start: Training
    ) -> Training:
        """Return the training on the high-fidelity data in one transfer mode."""
        return Training(
            data=targets.high,
            target=targets.high_target,
            size=size,
            minimum=targets.minimum,
            model=self.model,
            train=self.transfer_options,
            steps=self.transfer_steps,
            start=None if mode == "none" else start,
            mode=mode,  # type: ignore[arg-type]
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class Results:
    """Finished rows of an experiment.

    Attributes:
      scale: scale of the experiment.
      pool: finished trainings.
      rows: labels and numbers of each row; "test_mae" is in the unit of the data set.
    """

    scale: Scale
    pool: TrainingPool
    rows: list[dict[str, Any]]

    def errors(self, targets: TargetSet, /, **labels: Any) -> list[float]:
        """Return the test MAEs of the rows with these labels, in the unit of the target set."""
        return [
            targets.factor * row["test_mae"]
            for row in self.rows
            if all(row[name] == value for name, value in labels.items())
        ]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Table or figure of the paper.

    Attributes:
      name: name on the command line, and of the folder of results.
      title: title with the reproduced table or figure.
      grid: rows of the results table at a scale; None if they are not known beforehand.
      show: tables and figures of the finished rows.
      run: function of (scale, pool, minutes) for trainings that are no grid.
    """

    name: str
    title: str
    show: Callable[[Results], Content]
    grid: Callable[[Scale], list[Row]] | None = None
    run: Callable[[Scale, TrainingPool, float | None], None] | None = None

    def rows(self, scale: Scale) -> list[Row]:
        """Return the rows of the grid, none without a grid."""
        return self.grid(scale) if self.grid is not None else []

    def section(self, results: Results) -> Section:
        """Return the section of the report."""
        command = f"python -m experiments run {self.name} --scale {results.scale.name}"
        if results.scale.name != "smoke":
            command += " --data FOLDER"
        return Section(
            name=self.name,
            title=self.title,
            command=f"{command} --out FOLDER",
            differs=results.scale.about,
            **vars(self.show(results)),
        )
