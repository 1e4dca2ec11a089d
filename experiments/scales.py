"""The three sizes at which every experiment runs: data, network, recipe, seeds.

smoke   crystals that the package generates and a tiny network: shows that everything runs
local   public data and a small network: hours on two cores
paper   the recipe of Hoffmann et al. 2023 for their data; days on many GPUs
"""

import dataclasses

import cgatjax as cg
from experiments.scale import Scale, TargetSet, with_graphs
from experiments.sources import Source

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
    "difference to the cheap value",
    "difference, from scratch",
)
"""Of `ablations.VARIANTS`."""


def _smoke() -> Scale:
    both = ("high",)
    return Scale(
        name="smoke",
        about=(
            "A test of the programs, not of transfer: a few generated ionic crystals, a network of "
            "a few hundred weights per layer and a handful of steps, against millions of "
            "density-functional calculations."
        ),
        sources=with_graphs(
            {
                "low": Source(label="low", crystals=300),
                "high": Source(
                    label="high",
                    crystals=160,
                    differences=(("e-form_difference@high", "e-form@high", "e-form@low"),),
                ),
            }
        ),
        target_sets=(
            TargetSet(
                name="formation energy",
                low="low",
                low_target="e-form@low",
                accurate="high",
                target="e-form@high",
                difference="e-form_difference@high",
                size=64,
                held_out=both,
            ),
        ),
        crossings=_crossings(
            ("formation energy -> volume", "low", "e-form@low", "high", "volume@high"),
            ("volume -> formation energy", "low", "volume@low", "high", "e-form@high"),
            held_out=both,
            size=64,
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
        ablations=(
            "standard",
            "last shell cut (released)",
            "encoder frozen for a third",
            "difference to the cheap value",
        ),
        ablation_seeds=(0,),
    )


def _local() -> Scale:
    energy = TargetSet(
        name="formation energy, OptB88vdW",
        low="pbe",
        low_target="e-form@PBE",
        accurate="optb88vdw",
        target="e-form@OptB88vdW",
        difference="e-form_difference@OptB88vdW",
        size=1000,
        held_out=("optb88vdw", "r2scan_eform"),
    )
    gap = TargetSet(
        name="band gap, HSE06",
        low="pbe",
        low_target="band_gap_ind@PBE",
        factor=1.0,
        accurate="hse",
        target="band_gap_ind@HSE06",
        unit="eV",
        size=1000,
        held_out=("hse",),
    )
    return Scale(
        name="local",
        about=(
            "19 thousand PBE crystals of at most 12 sites for pre-training instead of 1.8 million, "
            "1,000 accurate ones instead of up to 175 thousand, other accurate functionals "
            "(OptB88vdW, r2SCAN, HSE06), a network of 0.87 million weights, 4,000 and 1,000 steps "
            "of 64 crystals instead of 390 epochs; splits by formula."
        ),
        sources=with_graphs(
            {
                "pbe": Source(label="PBE", folder="pbe", crystals=19_000, max_atoms=12),
                "optb88vdw": Source(
                    label="OptB88vdW",
                    folder="optb88vdw",
                    crystals=9_200,
                    max_atoms=12,
                    differences=(("e-form_difference", "e-form", "e-form_pbe"),),
                ),
                "r2scan_eform": Source(
                    label="r2SCAN", folder="r2scan_eform", crystals=780, max_atoms=12
                ),
                "r2scan_volume": Source(
                    label="r2SCAN", folder="r2scan_volume", crystals=9_000, max_atoms=12
                ),
                "hse": Source(label="HSE06", folder="hse", crystals=3_900, max_atoms=12),
            }
        ),
        target_sets=(
            energy,
            dataclasses.replace(
                energy,
                name="formation energy, r2SCAN",
                accurate="r2scan_eform",
                target="e-form@r2SCAN",
                difference="",
                size=None,
            ),
            TargetSet(
                name="volume, r2SCAN",
                low="pbe",
                low_target="volume@PBE",
                factor=1.0,
                accurate="r2scan_volume",
                target="volume@r2SCAN",
                unit="A^3/atom",
                size=1000,
                held_out=("r2scan_volume",),
            ),
            gap,
            dataclasses.replace(gap, name="band gap > 0.1 eV, HSE06", minimum=0.1),
        ),
        crossings=_crossings(
            ("formation energy -> volume", "pbe", "e-form@PBE", "r2scan_volume", "volume@r2SCAN"),
            ("volume -> formation energy", "pbe", "volume@PBE", "optb88vdw", "e-form@OptB88vdW"),
            (
                "distance to the hull -> formation energy",
                "pbe",
                "e_above_hull_new@PBE",
                "optb88vdw",
                "e-form@OptB88vdW",
            ),
            held_out=("optb88vdw", "r2scan_volume"),
            size=1000,
        ),
        model=cg.ModelConfig.small(),
        pretrain=cg.TrainConfig(),
        transfer=cg.TrainConfig(),
        pretrain_steps=4000,
        transfer_steps=1000,
        rates=(1e-3, 3e-4),
        seeds=(0, 1, 2),
        train_sizes=(125, 250, 500, 1000, 2000, 4000),
        pretrain_sizes=(1000, 2000, 4000, 8000, None),
        ablations=ALL_VARIANTS,
        ablation_seeds=(0, 1),
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
                low="pbe",
                low_target=f"{target}@PBE",
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
        sources=with_graphs(
            {
                "pbe": Source(label="PBE", folder="pbe", crystals=1_800_000),
                "pbesol": Source(label="PBEsol", folder="pbesol", crystals=175_000),
                "scan": Source(label="SCAN", folder="scan", crystals=175_000),
            }
        ),
        target_sets=tuple(rows),
        crossings=_crossings(
            ("formation energy -> volume", "pbe", "e-form@PBE", "pbesol", "volume@PBESOL"),
            ("volume -> formation energy", "pbe", "volume@PBE", "scan", "e-form@SCAN"),
            (
                "distance to the hull -> formation energy",
                "pbe",
                "e_above_hull_new@PBE",
                "scan",
                "e-form@SCAN",
            ),
            held_out=("scan", "pbesol"),
            size=None,
        ),
        model=cg.ModelConfig.paper(),
        pretrain=cg.TrainConfig.paper(),
        transfer=cg.TrainConfig.paper(),
        pretrain_steps=390 * 2812,
        transfer_steps=390 * 273,
        rates=(1.25e-4, 1.25e-5),
        seeds=(0,),
        train_sizes=(1_000, 3_000, 10_000, 30_000, 100_000, None),
        pretrain_sizes=(10_000, 30_000, 100_000, 300_000, 1_000_000, None),
        ablations=tuple(name for name in ALL_VARIANTS if not name.startswith("difference")),
        ablation_seeds=(0,),
    )


def _crossings(
    *pairs: tuple[str, str, str, str, str], held_out: tuple[str, ...], size: int | None
) -> tuple[TargetSet, ...]:
    """Target sets from (name, cheap data, its property, accurate data, its property)."""
    found = []
    for name, low, low_target, accurate, target in pairs:
        shown = (1.0, "A^3/atom") if target.startswith("volume") else (1000.0, "meV/atom")
        found.append(
            TargetSet(
                name=name,
                low=low,
                low_target=low_target,
                accurate=accurate,
                target=target,
                factor=shown[0],
                unit=shown[1],
                size=size,
                held_out=held_out,
            )
        )
    return tuple(found)


SCALES = {"smoke": _smoke, "local": _local, "paper": _paper}
"""Name -> what makes the scale."""
