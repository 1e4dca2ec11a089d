"""Scales of the experiments: data, network, training options, sizes and seeds.

smoke   a synthetic data set and a tiny network; checks that everything runs, within minutes
local   public data and a small network; hours on two cores
paper   data and training options of Hoffmann et al. 2023; days on many GPUs
"""

import dataclasses

import cgatjax as cg
from experiments.grid import Scale, TargetSet
from experiments.grid.datasets import DatasetSource, with_graph_variants

ALL_VARIANTS = (
    "standard",
    "edges by attention (paper)",
    "no edge updates",
    "messages to the center (paper)",
    "heads averaged in pooling",
    "robust loss",
    "last shell cut (released)",
    "shell tolerance 1e-8",
    "shell tolerance 1e-5",
    "shell tolerance 1e-3",
    "encoder at a tenth of the rate",
    "encoder frozen for a third",
    "delta learning",
    "delta learning, from scratch",
)
"""Names of `ablations.VARIANTS`."""
ALL_RECIPES = (
    "standard",
    "matscholar's vectors as published",
    "periodic vectors alone",
    "head without ReZero",
    "head of one layer",
    "messages to the center",
    "one attention head",
    "heads averaged in pooling",
    "two steps",
    "half the width",
    "twice the width",
    "squared loss",
    "weight decay 0.1",
    "clipping at 1",
    "cosine",
    "batches of 256",
    "a third of the rate",
    "three times the rate",
    "twice the steps",
)
"""Names of `recipe.RECIPES`."""


def _smoke() -> Scale:
    energy = TargetSet(
        name="formation energy",
        low="low",
        low_target="e-form@low",
        high="high",
        high_target="e-form@high",
        low_value="e-form@low",
        size=64,
        held_out=("high",),
    )
    sources = {
        "low": DatasetSource(label="low", crystals=300),
        "high": DatasetSource(label="high", crystals=160),
    }
    return Scale(
        name="smoke",
        about=(
            "A test of the programs, not of transfer: a few synthetic ionic crystals, a network of "
            "a few hundred weights per layer and a handful of steps, against millions of "
            "density-functional calculations."
        ),
        sources=with_graph_variants(sources),
        target_sets=(energy,),
        property_pairs=_property_pairs("low", "low", "high@high", "high@high", size=64)[:2],
        model=cg.ModelConfig.small(
            node_dim=6,
            edge_dim=4,
            heads=2,
            steps=1,
            composition_steps=1,
            composition_hidden=6,
            head_widths=(8,),
        ),
        pretrain_options=cg.TrainConfig(batch_size=32, learning_rate=5e-3),
        transfer_options=cg.TrainConfig(batch_size=16),
        pretrain_steps=12,
        transfer_steps=8,
        rates=(2e-3,),
        seeds=(0,),
        train_sizes=(16, 32, 64),
        pretrain_sizes=(32, 64, 128),
        ablations=(
            "standard",
            "last shell cut (released)",
            "encoder frozen for a third",
            "delta learning",
        ),
        ablation_seeds=(0,),
        recipes=("standard", "matscholar's vectors as published"),
    )


def _local() -> Scale:
    energy = dataclasses.replace(
        _with_pbe("formation energy, OptB88vdW", "e-form", "optb88vdw", "OptB88vdW", size=1000),
        held_out=("optb88vdw", "r2scan_eform"),
    )
    energy_r2scan = dataclasses.replace(
        _with_pbe("formation energy, r2SCAN", "e-form", "r2scan_eform", "r2SCAN"),
        held_out=energy.held_out,  # so that both share the pre-training
    )
    volume = _with_pbe("volume, r2SCAN", "volume", "r2scan_volume", "r2SCAN", size=1000)
    gap = _with_pbe("band gap, HSE06", "band_gap_ind", "hse", "HSE06", size=1000)
    labels_and_sizes = {
        "pbe": ("PBE", 19_000),
        "optb88vdw": ("OptB88vdW", 9_200),
        "r2scan_eform": ("r2SCAN", 780),
        "r2scan_volume": ("r2SCAN", 9_000),
        "hse": ("HSE06", 3_900),
    }
    sources = {
        name: DatasetSource(label=label, folder=name, crystals=crystals, max_atoms=12)
        for name, (label, crystals) in labels_and_sizes.items()
    }
    return Scale(
        name="local",
        about=(
            "19 thousand PBE crystals of at most 12 sites for pre-training instead of 1.8 million, "
            "1,000 high-fidelity ones instead of up to 175 thousand, other high-fidelity "
            "functionals (OptB88vdW, r2SCAN, HSE06), a network of 0.87 million weights, 4,000 and "
            "1,000 steps of 64 crystals instead of 390 epochs; splits by formula."
        ),
        sources=with_graph_variants(sources),
        target_sets=(
            energy,
            energy_r2scan,
            volume,
            gap,
            dataclasses.replace(gap, name="band gap > 0.1 eV, HSE06", minimum=0.1),
        ),
        property_pairs=_property_pairs(
            "pbe", "PBE", "optb88vdw@OptB88vdW", "r2scan_volume@r2SCAN", size=1000
        ),
        # The element vectors that the stored results were made with.
        model=cg.ModelConfig.small(elements="matscholar"),
        pretrain_options=cg.TrainConfig(),
        transfer_options=cg.TrainConfig(),
        pretrain_steps=4000,
        transfer_steps=1000,
        rates=(1e-3, 3e-4),
        seeds=(0, 1, 2),
        train_sizes=(125, 250, 500, 1000, 2000, 4000),
        pretrain_sizes=(1000, 2000, 4000, 8000, None),
        ablations=ALL_VARIANTS,
        ablation_seeds=(0, 1),
        recipes=ALL_RECIPES,
    )


def _paper() -> Scale:
    target_sets = tuple(
        dataclasses.replace(
            _from_pbe(f"{name}, {functional}", target, functional.lower(), functional),
            held_out=("scan", "pbesol"),
        )
        for name, target, functionals in (
            ("distance to the hull", "e_above_hull_new", ("SCAN", "PBESOL")),
            ("formation energy", "e-form", ("SCAN", "PBESOL")),
            ("volume", "volume", ("PBESOL",)),
            ("band gap", "band_gap_ind", ("SCAN",)),
        )
        for functional in functionals
    )
    sources = {
        "pbe": DatasetSource(label="PBE", folder="pbe", crystals=1_800_000),
        "pbesol": DatasetSource(label="PBEsol", folder="pbesol", crystals=175_000),
        "scan": DatasetSource(label="SCAN", folder="scan", crystals=175_000),
    }
    return Scale(
        name="paper",
        about="The paper's data sets and recipe; splits by formula, one seed, two learning rates.",
        sources=with_graph_variants(sources),
        target_sets=target_sets,
        property_pairs=_property_pairs("pbe", "PBE", "scan@SCAN", "pbesol@PBESOL", size=None),
        model=cg.ModelConfig.paper(),
        pretrain_options=cg.TrainConfig.paper(),
        transfer_options=cg.TrainConfig.paper(),
        pretrain_steps=390 * 2812,
        transfer_steps=390 * 273,
        rates=(1.25e-4, 1.25e-5),
        seeds=(0,),
        train_sizes=(1_000, 3_000, 10_000, 30_000, 100_000, None),
        pretrain_sizes=(10_000, 30_000, 100_000, 300_000, 1_000_000, None),
        ablations=tuple(name for name in ALL_VARIANTS if not name.startswith("delta")),
        ablation_seeds=(0,),
    )


def _from_pbe(
    name: str, target: str, high: str, functional: str, size: int | None = None
) -> TargetSet:
    """Transfer of a property from PBE to a data set of another functional."""
    return TargetSet(
        name=name,
        low="pbe",
        low_target=f"{target}@PBE",
        high=high,
        high_target=f"{target}@{functional}",
        size=size,
        held_out=(high,),
    )


def _with_pbe(
    name: str, target: str, high: str, functional: str, size: int | None = None
) -> TargetSet:
    """Transfer from PBE to a data set that has the PBE values of its crystals, too."""
    targets = _from_pbe(name, target, high, functional, size)
    return dataclasses.replace(targets, low_value=f"{target}_pbe")


def _property_pairs(
    low: str, functional: str, energy: str, volume: str, *, size: int | None
) -> tuple[TargetSet, ...]:
    """Transfers between properties; `energy` and `volume` are high-fidelity DATA_SET@FUNCTIONAL."""
    energy_data, energy_functional = energy.split("@")
    volume_data, volume_functional = volume.split("@")
    to_energy = (energy_data, f"e-form@{energy_functional}")
    return tuple(
        TargetSet(
            name=name,
            low=low,
            low_target=f"{low_property}@{functional}",
            high=high,
            high_target=high_target,
            size=size,
            held_out=tuple(dict.fromkeys((energy_data, volume_data))),
        )
        for name, low_property, (high, high_target) in (
            (
                "formation energy -> volume",
                "e-form",
                (volume_data, f"volume@{volume_functional}"),
            ),
            ("volume -> formation energy", "volume", to_energy),
            ("distance to the hull -> formation energy", "e_above_hull_new", to_energy),
        )
    )


SCALES = {"smoke": _smoke, "local": _local, "paper": _paper}
"""Name -> function that makes the scale."""
