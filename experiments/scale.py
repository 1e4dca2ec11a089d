"""What the experiments share at one scale: data sets, properties, network, recipe, sizes, seeds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import cgatjax as cg
from cgatjax.errors import ConfigError
from experiments.sources import Source
from experiments.specification import Training

GRAPHS = {
    "cut": cg.GraphConfig.recommended(split_shell="cut"),
    "1e-8": cg.GraphConfig.recommended(shell_tolerance=1e-8),
    "1e-5": cg.GraphConfig.recommended(shell_tolerance=1e-5),
    "1e-3": cg.GraphConfig.recommended(shell_tolerance=1e-3),
}
"""Ending of a data set's name -> how its crystals become graphs, where not as recommended."""
WAYS = ("none", "head", "full", "joint")


@dataclass(frozen=True, kw_only=True)
class TargetSet:
    """One property to carry over, as a row of Table 1.

    Attributes:
      name: for tables and figures.
      cheap, cheap_target: data set and property of the pre-training.
      accurate, target: data set and property of the transfer.
      difference: property of the accurate data: its value less the cheap one of the same crystal;
        "" if the data have no cheap values.
      factor, unit: errors are shown times `factor` in `unit`.
      size: training crystals of the transfer; None for all.
      minimum: only values above it, in both data sets.
      held_out: data sets whose judged formulas the pre-training must not see.
    """

    name: str
    low: str
    low_target: str
    accurate: str
    target: str
    difference: str = ""
    factor: float = 1000.0
    unit: str = "meV/atom"
    size: int | None = None
    minimum: float | None = None
    held_out: tuple[str, ...]

    def with_graphs(self, ending: str) -> "TargetSet":
        """The same crystals as other graphs (`GRAPHS`); their ids, and so the splits, are equal."""
        if not ending:
            return self
        low, accurate, *others = (
            f"{name}-{ending}" for name in (self.low, self.accurate, *self.held_out)
        )
        return dataclasses.replace(self, low=low, accurate=accurate, held_out=tuple(others))


def with_graphs(sources: dict[str, Source]) -> dict[str, Source]:
    """The data sets, and each of them as other graphs; a store is built when it is asked for."""
    others = {
        f"{name}-{ending}": source.replace(graph=graph)
        for ending, graph in GRAPHS.items()
        for name, source in sources.items()
    }
    return {**sources, **others}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Everything that the experiments share at one size.

    Attributes:
      name: smoke, local or paper.
      about: what differs from the paper in data and scale, for every page of results.
      sources: the data sets.
      target_sets: rows of Table 1; the first is the one whose curves are drawn.
      crossings: pairs of different properties, for transfer between them.
      model: the network.
      pretrain, transfer: recipes; rates of the transfer are those of `rates`.
      pretrain_steps, transfer_steps: optimizer steps, the same for all ways and sizes.
      rates: candidates for the peak learning rate of the transfer.
      seeds: of subsets, initialization and shuffling.
      train_sizes, pretrain_sizes: of the curves; None for all crystals.
      ablations, ablation_seeds: names of `ablations.VARIANTS`, and the seeds of all but the first.
      costs: computing time of a cheap and of an accurate calculation.
    """

    name: str
    about: str
    sources: Mapping[str, Source]
    target_sets: tuple[TargetSet, ...]
    crossings: tuple[TargetSet, ...]
    model: cg.ModelConfig
    pretrain: cg.TrainConfig
    transfer: cg.TrainConfig
    pretrain_steps: int
    transfer_steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    train_sizes: tuple[int | None, ...]
    pretrain_sizes: tuple[int | None, ...]
    ablations: tuple[str, ...]
    ablation_seeds: tuple[int, ...]
    costs: tuple[float, float] = (1.0, 5.0)

    def with_seeds(self, count: int | None) -> "Scale":
        """The scale with the first seeds alone; None for all of them.

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
        """The training on the cheap data of a target set."""
        return Training(
            data=targets.low,
            target=targets.low_target,
            size=size,
            minimum=targets.minimum,
            held_out=targets.held_out,
            model=self.model,
            train=self.pretrain,
            steps=self.pretrain_steps,
            seed=seed,
        )

    def transferred(
        self, targets: TargetSet, way: str, seed: int, size: int | None, start: Training
    ) -> Training:
        """The training on the accurate data in one of the four ways."""
        return Training(
            data=targets.accurate,
            target=targets.target,
            size=size,
            minimum=targets.minimum,
            model=self.model,
            train=self.transfer,
            steps=self.transfer_steps,
            start=None if way == "none" else start,
            mode=way,  # type: ignore[arg-type]
            seed=seed,
        )
