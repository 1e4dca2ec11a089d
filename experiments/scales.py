"""The three sizes at which every experiment runs: data, network, recipe, seeds.

smoke   crystals that the package generates and a tiny network: shows that everything runs
local   public data and a small network: hours on two cores
paper   the recipe of Hoffmann et al. 2023 for their data; days on many GPUs
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cgatjax as cg
from experiments.sources import Source
from experiments.specification import Training

WAYS = ("none", "head", "full", "joint")


@dataclass(frozen=True, kw_only=True)
class TargetSet:
    """One property to carry over, as a row of Table 1.

    Attributes:
      name: for tables and figures.
      cheap, cheap_target: data set and property of the pre-training.
      accurate, target: data set and property of the transfer.
      factor, unit: errors are shown times `factor` in `unit`.
      size: training crystals of the transfer; None for all.
      minimum: only values above it, in both data sets.
      held_out: data sets whose judged formulas the pre-training must not see.
    """

    name: str
    cheap: str
    cheap_target: str
    accurate: str
    target: str
    factor: float = 1000.0
    unit: str = "meV/atom"
    size: int | None = None
    minimum: float | None = None
    held_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Everything that the experiments share at one size.

    Attributes:
      name: smoke, local or paper.
      about: what differs from the paper in data and scale, for every page of results.
      sources: the data sets.
      target_sets: rows of Table 1; the first is the one whose curves are drawn.
      model: the network.
      pretrain, transfer: recipes; rates of the transfer are those of `rates`.
      pretrain_steps, transfer_steps: optimiser steps, the same for all ways and sizes.
      rates: candidates for the peak learning rate of the transfer.
      seeds: of subsets, initialisation and shuffling.
      train_sizes, pretrain_sizes: of the curves; None for all crystals.
      costs: computing time of a cheap and of an accurate calculation.
    """

    name: str
    about: str
    sources: Mapping[str, Source]
    target_sets: tuple[TargetSet, ...]
    model: cg.ModelConfig
    pretrain: cg.TrainConfig
    transfer: cg.TrainConfig
    pretrain_steps: int
    transfer_steps: int
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    train_sizes: tuple[int | None, ...]
    pretrain_sizes: tuple[int | None, ...]
    costs: tuple[float, float] = (1.0, 5.0)

    def pretraining(self, targets: TargetSet, seed: int, size: int | None = None) -> Training:
        """The training on the cheap data of a target set."""
        return Training(
            data=targets.cheap,
            target=targets.cheap_target,
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


def _smoke() -> Scale:
    both = ("dear",)
    return Scale(
        name="smoke",
        about=(
            "A test of the programs, not of transfer: a few generated ionic crystals, a network of "
            "a few hundred weights per layer and a handful of steps, against millions of "
            "density-functional calculations."
        ),
        sources={
            "cheap": Source(label="cheap", crystals=300),
            "dear": Source(label="dear", crystals=160),
        },
        target_sets=(
            TargetSet(
                name="formation energy",
                cheap="cheap",
                cheap_target="e-form@cheap",
                accurate="dear",
                target="e-form@dear",
                size=64,
                held_out=both,
            ),
        ),
        model=cg.ModelConfig.small(
            node_dim=6,
            edge_dim=4,
            heads=2,
            steps=1,
            composition_steps=1,
            composition_hidden=6,
            head_widths=(8,),
        ),
        pretrain=cg.TrainConfig(batch_size=32, learning_rate=5e-3),
        transfer=cg.TrainConfig(batch_size=16),
        pretrain_steps=12,
        transfer_steps=8,
        rates=(2e-3,),
        seeds=(0,),
        train_sizes=(16, 32, 64),
        pretrain_sizes=(32, 64, 128),
    )


def _local() -> Scale:
    energies = ("optb88vdw", "r2scan_eform")
    small = {"size": 1000}
    gap = {
        "cheap": "pbe",
        "cheap_target": "band_gap_ind@PBE",
        "accurate": "hse",
        "factor": 1.0,
        "target": "band_gap_ind@HSE06",
        "unit": "eV",
        "held_out": ("hse",),
    }
    energy = {"cheap": "pbe", "cheap_target": "e-form@PBE", "held_out": energies}
    return Scale(
        name="local",
        about=(
            "19 thousand PBE crystals of at most 12 sites for pre-training instead of 1.8 million, "
            "1,000 accurate ones instead of up to 175 thousand, other accurate functionals "
            "(OptB88vdW, r2SCAN, HSE06), a network of 0.87 million weights, 6,000 and 1,000 steps "
            "of 64 crystals instead of 390 epochs; splits by formula."
        ),
        sources={
            "pbe": Source(label="PBE", folder="pbe", crystals=19_000, max_atoms=12),
            "optb88vdw": Source(
                label="OptB88vdW", folder="optb88vdw", crystals=9_200, max_atoms=12
            ),
            "r2scan_eform": Source(
                label="r2SCAN", folder="r2scan_eform", crystals=780, max_atoms=12
            ),
            "r2scan_volume": Source(
                label="r2SCAN", folder="r2scan_volume", crystals=6_000, max_atoms=12
            ),
            "hse": Source(label="HSE06", folder="hse", crystals=3_900, max_atoms=12),
        },
        target_sets=(
            TargetSet(
                name="formation energy, OptB88vdW",
                accurate="optb88vdw",
                target="e-form@OptB88vdW",
                **energy,
                **small,
            ),
            TargetSet(
                name="formation energy, r2SCAN",
                accurate="r2scan_eform",
                target="e-form@r2SCAN",
                **energy,
            ),
            TargetSet(
                name="volume, r2SCAN",
                cheap="pbe",
                cheap_target="volume@PBE",
                factor=1.0,
                accurate="r2scan_volume",
                target="volume@r2SCAN",
                unit="A^3/atom",
                held_out=("r2scan_volume",),
                **small,
            ),
            TargetSet(name="band gap, HSE06", **gap, **small),
            TargetSet(name="band gap > 0.1 eV, HSE06", minimum=0.1, **gap, **small),
        ),
        model=cg.ModelConfig.small(),
        pretrain=cg.TrainConfig(),
        transfer=cg.TrainConfig(),
        pretrain_steps=6000,
        transfer_steps=1000,
        rates=(1e-3, 3e-4),
        seeds=(0, 1, 2),
        train_sizes=(125, 250, 500, 1000, 2000, 4000),
        pretrain_sizes=(1000, 2000, 4000, 8000, None),
    )


def _paper() -> Scale:
    rows = []
    for name, target, factor, unit in (
        ("distance to the hull", "e_above_hull_new", 1000.0, "meV/atom"),
        ("formation energy", "e-form", 1000.0, "meV/atom"),
        ("volume", "volume", 1.0, "A^3/atom"),
        ("band gap", "band_gap_ind", 1.0, "eV"),
    ):
        labels = {"volume": ("pbesol",), "band gap": ("scan",)}.get(name, ("scan", "pbesol"))
        rows += [
            TargetSet(
                name=f"{name}, {label.upper()}",
                cheap="pbe",
                cheap_target=f"{target}@PBE",
                accurate=label,
                target=f"{target}@{label.upper()}",
                factor=factor,
                unit=unit,
                held_out=("scan", "pbesol"),
            )
            for label in labels
        ]
    return Scale(
        name="paper",
        about="The paper's data sets and recipe; splits by formula, one seed, two learning rates.",
        sources={
            "pbe": Source(label="PBE", folder="pbe", crystals=1_800_000),
            "pbesol": Source(label="PBEsol", folder="pbesol", crystals=175_000),
            "scan": Source(label="SCAN", folder="scan", crystals=175_000),
        },
        target_sets=tuple(rows),
        model=cg.ModelConfig.paper(),
        pretrain=cg.TrainConfig.paper(),
        transfer=cg.TrainConfig.paper(),
        pretrain_steps=390 * 2812,
        transfer_steps=390 * 273,
        rates=(1.25e-4, 1.25e-5),
        seeds=(0,),
        train_sizes=(1_000, 3_000, 10_000, 30_000, 100_000, None),
        pretrain_sizes=(10_000, 30_000, 100_000, 300_000, 1_000_000, None),
    )


SCALES = {"smoke": _smoke, "local": _local, "paper": _paper}
"""Name -> what makes the scale."""
