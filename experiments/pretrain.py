"""Pre-trained models that come with the package: stores, trainings, evaluation, model folder.

    python -m experiments pretrain stores --data DATA --out STORES
    python -m experiments pretrain train --stores STORES --out OUT --joint-training-steps 26000
    python -m experiments pretrain publish --stores STORES --out OUT --name mp-small
    python -m experiments pretrain transfers --stores STORES --model OUT/mp-small --out RESULTS

`stores` reads structures. The others read stores alone, on any machine with JAX and the
libraries of the training. All continue where they were interrupted.

One encoder learns four properties of the PBE crystals, together with a potential's energies of more
crystals and the volumes of their cells, or after a first stage on these energies. All subsets are
split by formula; nothing is learned from the potential's crystals with a formula of the PBE
validation and test sets, nor from any with one of those of the stores named by `--exclude`, such as
those that the study tests transfers on.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import cgatjax as cg
from cgatjax.cli.config_options import NETWORKS, TRAININGS, chosen, config_options
from cgatjax.data.datasets import ConcatDataset, Crystals
from cgatjax.data.leakage import exclude
from cgatjax.data.splits import nested_subset
from cgatjax.model.model import with_heads
from cgatjax.model.normalizer import Normalizer
from cgatjax.options import Options
from cgatjax.runs.run_folder import SPLIT
from cgatjax.runtime.files import write_durably
from cgatjax.structures import CELL_VOLUME
from cgatjax.training.loop import Recorded, train_epochs
from cgatjax.training.transfer_params import rescale_head
from experiments.decorated import decorate, minima
from experiments.grid.datasets import DatasetSource, build_dataset, split_by_formula
from experiments.model_report import publish_with_report
from experiments.pretrained_transfers import transfers
from experiments.scales import SCALES

PBE, CHGNET, DECORATED, JOINT = "pbe", "chgnet", "decorated", "joint"
SOURCES = {
    PBE: DatasetSource(label="PBE", folder="pbe", crystals=37_000),
    CHGNET: DatasetSource(label="CHGNet", folder="mp_chgnet", crystals=86_000),
    "pbe_clean": DatasetSource(label="PBE", folder="pbe_clean", crystals=17_000),
    DECORATED: DatasetSource(label="CHGNet", folder="decorated", crystals=50_000),
}
"""Data of the two stages and of `--also`, crystals of any size."""
HELD_OUT = ("optb88vdw", "r2scan_eform", "r2scan_volume", "hse")
"""Data sets of the study's transfers."""
TARGETS = ("e-form@PBE", "e_above_hull_new@PBE", "volume@PBE", "band_gap_ind@PBE")
FIRST_TARGETS = ("e-form_chgnet",)
JOINT_TARGETS = (*FIRST_TARGETS, CELL_VOLUME)
"""Heads of the potential's crystals beside those of PBE."""
ALSO_TARGETS = ("e-form", "band_gap_ind")
"""Properties that further crystals have heads of their own for: their corrections are others."""
ALSO_SHARED = "volume@PBE"
"""Head that they share with those of PBE."""
HEADS = {"e-form@PBE": "e-form_chgnet"}
"""Head of the second stage -> head of the first stage that it starts from."""
JOINT_HEADS = {"e-form_chgnet": "e-form@PBE", CELL_VOLUME: "volume@PBE"}
"""Head of the joint training -> head of PBE that it starts from; others from the same property."""
FIRST_FRACTIONS = (0.97, 0.03, 0.0)
VALIDATIONS = 40
"""Approximate number of validations of a stage."""
DERIVED = ("epochs", "validate_every", "seed")
"""Training options that follow from the recipe."""
STAGE_OPTIONS = ("training_steps", "first_training_steps", "first_rate")
"""Options of the recipe without meaning for a training on both data sets at once."""
RECIPE = "recipe.json"
STORES = click.option(
    "--stores", type=click.Path(path_type=Path), required=True, help="Folder of the stores."
)
OUT = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of runs and models."
)


@dataclass(frozen=True, kw_only=True)
class Recipe(Options):
    """Options of both stages, besides those of network and training.

    Attributes:
      training_steps: optimizer steps on the PBE crystals; 0 to end after the first stage.
      first_training_steps: optimizer steps on the potential's energies before; 0 for none.
      first_crystals: crystals to learn these from, a nested subset; by default all.
      first_rate: learning rate of these steps; by default that of the others.
      joint_training_steps: optimizer steps on both data sets at once, in the place of the two
        stages; 0 for these.
      start: name, run or folder of a model of PBE that the joint training continues; by default
        fresh weights.
      also: further stores that the joint training learns: the potential's energies and volumes of
        decorated crystals, or energies, gaps and volumes of another version of the PBE data.
      exclude: stores, split as in the study, whose validation and test formulas are kept out of
        both stages.
      exclude_whole: stores all of whose formulas are kept out of both stages.
      fractions: fractions of train, valid and test of the PBE crystals.
      seed: seed of splits, initialization and shuffling.
    """

    training_steps: int = 60_000
    first_training_steps: int = 0
    first_crystals: int | None = None
    first_rate: float | None = None
    joint_training_steps: int = 0
    start: str | None = None
    also: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_whole: tuple[str, ...] = ()
    fractions: tuple[float, float, float] = (0.9, 0.05, 0.05)
    seed: int = 0

    def _check(self) -> None:
        for name in ("training_steps", "first_training_steps", "joint_training_steps"):
            self._require(getattr(self, name) >= 0, name, "at least 0")
        crystals = self.first_crystals
        self._require(crystals is None or crystals >= 1, "first_crystals", "at least 1")
        is_joint = self.joint_training_steps > 0
        self._require(is_joint or self.start is None, "start", "None without joint_training_steps")
        self._require(is_joint or not self.also, "also", "empty without joint_training_steps")


@click.group()
def pretrain() -> None:
    """Make the pre-trained models that come with the package."""


@pretrain.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the data.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the stores.")
def stores(data: Path, out: Path) -> None:
    """Featurize the data sets that the folder has, without those that are done."""
    sources = {**SOURCES, **{name: SCALES["local"]().sources[name] for name in HELD_OUT}}
    for name, source in sources.items():
        if (data / source.folder).exists():
            # The volumes of these files are those of whole cells.
            targets = JOINT_TARGETS if name in (CHGNET, DECORATED) else None
            store = build_dataset(name, source, data, out / name, targets)
            click.echo(f"{out / name}: {len(store)} crystals, {sorted(store.units)}")


@pretrain.command()
@STORES
@OUT
@click.option("--preset", type=click.Choice(list(NETWORKS)), default="small", show_default=True)
@config_options(Recipe, "Recipe")
@config_options(cg.ModelConfig, "Network", without=("targets",), presets=NETWORKS)
@config_options(cg.TrainConfig, "Training", without=DERIVED, presets=TRAININGS)
def train(stores: Path, out: Path, preset: str, **flags: Any) -> None:
    """Train both stages, or on both data sets at once; robust L1 loss unless another is chosen."""
    recipe = Recipe(**chosen(flags, Recipe))
    own_network = chosen(flags, cg.ModelConfig)
    network = NETWORKS[preset].replace(**own_network)
    own = chosen(flags, cg.TrainConfig, without=DERIVED)
    training = TRAININGS[preset].replace(**{"loss": "robust_l1", **own, "seed": recipe.seed})
    out.mkdir(parents=True, exist_ok=True)
    plain = {"preset": preset, **recipe.to_dict(), "training": own, "network": own_network}
    write_durably(out / RECIPE, json.dumps(plain, indent=1).encode())
    pbe = cg.open_store(stores / PBE)
    split = pbe.make_split(recipe.fractions, by="formula", seed=recipe.seed)
    split = _without_excluded(pbe, split, recipe)
    start = None
    if recipe.joint_training_steps or recipe.first_training_steps:
        first = cg.open_store(stores / CHGNET)
        first_split = _first_split(first, pbe, split, recipe)
        if recipe.first_crystals is not None:
            some = nested_subset(first_split.train, recipe.first_crystals, seed=recipe.seed)
            first_split = dataclasses.replace(first_split, train=tuple(some))
        if recipe.joint_training_steps:
            parts = {CHGNET: (first, first_split), PBE: (pbe, split)}
            for path in map(Path, recipe.also):
                store = cg.open_store(path)
                parts[path.name] = (store, _first_split(store, pbe, split, recipe))
            _train_jointly(out, network, parts, training, recipe)
            return
        rate = recipe.first_rate or training.learning_rate
        options = training.replace(learning_rate=rate)
        model = cg.init_model(network, first, target=FIRST_TARGETS, seed=recipe.seed)
        start = _run(out / CHGNET, model, first, first_split, options, recipe.first_training_steps)
    if not recipe.training_steps:
        return
    train_set, _, _ = pbe.apply(split)
    model = cg.init_model(network, train_set, target=TARGETS, seed=recipe.seed)
    if start is not None:
        model = continued(model, start, train_set, HEADS)
    _run(out / PBE, model, pbe, split, training, recipe.training_steps)


@pretrain.command()
@STORES
@OUT
@click.option("--name", required=True, help="Name of the model, and of its folder below --out.")
@click.option("--license", "license_name", default="CC-BY-4.0", show_default=True)
@click.option("--commit", help="Commit of the code; by default that of the checkout.")
def publish(stores: Path, out: Path, name: str, license_name: str, commit: str | None) -> None:
    """Evaluate the trained model, and write its folder with card and self-check."""
    recipe = json.loads((out / RECIPE).read_text())
    sets = {
        stage: cg.open_store(stores / stage).apply(cg.Split.load(out / stage / SPLIT))
        for stage in (*(Path(path).name for path in recipe["also"]), CHGNET, PBE)
        if (out / stage / SPLIT).is_file()
    }
    is_joint = (out / JOINT).exists()
    unused = STAGE_OPTIONS if is_joint else ("joint_training_steps",)
    alone = {CHGNET: FIRST_TARGETS, PBE: TARGETS}
    learned = {stage: _targets_of(stage) if is_joint else alone[stage] for stage in sets}
    model = publish_with_report(
        out / name,
        with_heads(cg.load_model(out / JOINT), TARGETS) if is_joint else cg.load_model(out / PBE),
        sets,
        learned,
        license_name=license_name,
        recipe={**recipe, **dict.fromkeys(unused)},
        commit=commit,
    )
    click.echo(f"{out / name}\n{cg.ModelCard.read(out / name).text()}")
    click.echo(repr(model))


pretrain.add_command(decorate)
pretrain.add_command(minima)
pretrain.add_command(transfers)


def continued(
    model: cg.Model, start: cg.Model, train: Crystals, heads: Mapping[str, str]
) -> cg.Model:
    """Return a fresh model with the encoder of another one, and some of its heads.

    Args:
      model: the fresh model.
      start: model of an earlier training.
      train: training set, which normalizers are fitted to.
      heads: target of the fresh model -> target of the earlier one, whose head it takes; rescaled,
        so that it predicts the same at first. Other heads stay fresh.
    """
    normalizers = {t: Normalizer.fit(train.target(t), t) for t in model.targets}
    taken = {
        target: rescale_head(
            start.params["heads"][source], start.normalizers[source], normalizers[target]
        )
        for target, source in heads.items()
    }
    params = {"encoder": start.params["encoder"], "heads": {**model.params["heads"], **taken}}
    return model.replace(
        params={**model.params, **params}, normalizers=normalizers, record=start.record
    )


def _first_split(store: cg.Store, pbe: cg.Store, split: cg.Split, recipe: Recipe) -> cg.Split:
    """Split crystals beside those of PBE, without the formulas of its validation and test sets."""
    own = store.make_split(FIRST_FRACTIONS, by="formula", seed=recipe.seed)
    return _without_excluded(store, exclude(own, store, split, by="formula", home=pbe), recipe)


def _without_excluded(store: cg.Store, split: cg.Split, recipe: Recipe) -> cg.Split:
    """Remove the formulas of the validation and test sets of some stores, and of whole stores."""
    for path in (*recipe.exclude, *recipe.exclude_whole):
        home = cg.open_store(path)
        held_out = home.all() if path in recipe.exclude_whole else split_by_formula(home)
        split = exclude(split, store, held_out, by="formula", home=home)
    return split


def _train_jointly(
    out: Path,
    network: cg.ModelConfig,
    parts: Mapping[str, tuple[cg.Store, cg.Split]],
    options: cg.TrainConfig,
    recipe: Recipe,
) -> None:
    """Train the heads of all data sets at once; validation on PBE chooses the epoch."""
    sets = {name: store.apply(split) for name, (store, split) in parts.items()}
    for name, (_, split) in parts.items():
        (out / name).mkdir(exist_ok=True)
        split.save(out / name / SPLIT)
    learned = [(train, _targets_of(name)) for name, (train, _, _) in sets.items()]
    heads = tuple(dict.fromkeys(t for name in (PBE, *parts) for t in _targets_of(name)))
    _, valid, test = sets[PBE]
    together = ConcatDataset(*(data.restrict_targets(*names) for data, names in learned))
    options = _with_epochs(options, recipe.joint_training_steps, len(together))
    run = cg.RunFolder(out / JOINT, resume=(out / JOINT).exists())
    if run.is_finished(options.epochs):
        return
    recorded = Recorded(
        learned,
        [(valid, TARGETS)],
        [(test, TARGETS)] if len(test) else [],
        options.to_dict(),
    )
    model = cg.init_model(network, together, target=heads, seed=options.seed)
    if recipe.start is not None:
        sources = {t: JOINT_HEADS.get(t, f"{t.split('@')[0]}@PBE") for t in heads}
        model = continued(model, cg.load_model(recipe.start), together, sources)
    run.save_config({"graph": model.graph_config, "model": model.config, "train": options})
    valid = valid.restrict_targets(*TARGETS)
    train_epochs(model, together, valid, recorded, options, None, None, run, (), True)


def _targets_of(name: str) -> tuple[str, ...]:
    """Return the heads that the crystals of a store train together with others."""
    given = {PBE: TARGETS, CHGNET: JOINT_TARGETS, DECORATED: JOINT_TARGETS}
    return given.get(name) or (*(f"{t}@{name}" for t in ALSO_TARGETS), ALSO_SHARED)


def _with_epochs(options: cg.TrainConfig, steps: int, crystals: int) -> cg.TrainConfig:
    """Set the epochs to about this number of steps."""
    epochs = max(1, round(steps / math.ceil(crystals / options.batch_size)))
    return options.replace(epochs=epochs, validate_every=max(1, epochs // VALIDATIONS))


def _run(
    folder: Path,
    model: cg.Model,
    store: cg.Store,
    split: cg.Split,
    options: cg.TrainConfig,
    steps: int,
) -> cg.Model:
    """Train a stage, or what is left of it."""
    train, valid, test = store.apply(split)
    options = _with_epochs(options, steps, len(train))
    run = cg.RunFolder(folder, resume=folder.exists())
    if run.is_finished(options.epochs):
        return cg.load_model(folder)
    split.save(folder / SPLIT)
    tested = test if len(test) else None
    trained, _ = cg.fit(model, train, valid, options, test=tested, run=run, show_progress=True)
    return trained
