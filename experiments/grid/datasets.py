"""Data sets of the experiments: featurized stores, one fixed split of each, nested subsets."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.data.splits import nested_subset
from cgatjax.data.store import MANIFEST
from cgatjax.errors import InputError
from cgatjax.options import Options
from experiments.grid.locks import locked
from experiments.grid.training import Training

LOG = logging.getLogger("cgatjax")
SPLIT_SEED = 0
FRACTIONS = (0.8, 0.1, 0.1)
RECOMMENDED = cg.GraphConfig.recommended()
GRAPH_VARIANTS = {
    "cut": cg.GraphConfig.recommended(split_shell="cut"),
    "1e-8": cg.GraphConfig.recommended(shell_tolerance=1e-8),
    "1e-5": cg.GraphConfig.recommended(shell_tolerance=1e-5),
    "1e-3": cg.GraphConfig.recommended(shell_tolerance=1e-3),
}
"""Suffix of a data set's name -> graph options that differ from the recommended ones."""


@dataclass(frozen=True, kw_only=True)
class DatasetSource(Options):
    """Source of the crystals of one data set.

    The names of the attributes enter the names of the stores' folders: do not rename them.

    Attributes:
      label: functional, for tables and figures.
      folder: subfolder of the data folder; "" for a synthetic data set.
      crystals: approximate size after filtering, for dry runs; exact size if synthetic.
      max_atoms: largest number of sites per cell.
      graph: graph options.
    """

    label: str
    folder: str = ""
    crystals: int
    max_atoms: int = 1000
    graph: cg.GraphConfig = RECOMMENDED


def with_graph_variants(sources: Mapping[str, DatasetSource]) -> dict[str, DatasetSource]:
    """Return data sets and their graph variants; a store is built only if it is used."""
    variants = {
        f"{name}-{suffix}": source.replace(graph=graph)
        for suffix, graph in GRAPH_VARIANTS.items()
        for name, source in sources.items()
    }
    return {**sources, **variants}


class Datasets:
    """Stores, splits and subsets of the data sets of one scale.

    Attributes:
      sources: data sets by name.
    """

    def __init__(self, sources: Mapping[str, DatasetSource], data: Path | None, out: Path) -> None:
        self.sources = sources
        self._data = data
        self._folder = out / "stores"
        self._stores: dict[str, cg.Store] = {}
        self._splits: dict[str, cg.Split] = {}
        self._fingerprints: dict[str, str] = {}

    def store(self, name: str) -> cg.Store:
        """Return a featurized data set; build it on first use.

        Raises:
          InputError: the data set needs files, and there is no data folder, or it lacks them.
        """
        if name not in self._stores:
            path = self._folder / f"{name}-{self.sources[name].digest()}"
            with locked(path, wait=True):
                ready = (path / MANIFEST).is_file()
                self._stores[name] = (
                    cg.open_store(path)
                    if ready
                    else build_dataset(name, self.sources[name], self._data, path)
                )
        return self._stores[name]

    def split(self, name: str) -> cg.Split:
        """Return the split of a data set by formula, the same in every experiment."""
        if name not in self._splits:
            self._splits[name] = split_by_formula(self.store(name))
        return self._splits[name]

    def fingerprint(self, name: str) -> str:
        """Return the hash of the contents and the split of a data set."""
        if name not in self._fingerprints:
            split = self.split(name)
            ids = [list(split.train), list(split.valid), list(split.test)]
            text = json.dumps([self.store(name).digest, ids])
            self._fingerprints[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._fingerprints[name]

    def held_out_formulas(self, name: str) -> frozenset[str]:
        """Return the formulas of the validation and test sets of a data set."""
        _, valid, test = self.store(name).apply(self.split(name))
        return frozenset([*valid.formulas, *test.formulas])

    def subsets(self, training: Training) -> tuple[cg.Dataset, cg.Dataset, cg.Dataset]:
        """Return training, validation and test set of a training.

        Raises:
          InputError: the training set is smaller than the requested subset.
        """
        store, split = self.store(training.data), self.split(training.data)
        for other in training.held_out:
            split = cg.exclude(
                split, store, self.split(other), by="formula", home=self.store(other)
            )
        train, valid, test = (_known(subset, training) for subset in store.apply(split))
        if training.size is not None:
            train = nested(train, training.size, training.seed)
        return train, valid, test

    def expected_size(self, training: Training) -> int:
        """Return the approximate size of a training set without reading the data."""
        everything = round(FRACTIONS[0] * self.sources[training.data].crystals)
        return everything if training.size is None else min(training.size, everything)


def build_dataset(
    name: str,
    source: DatasetSource,
    data: Path | None,
    path: Path,
    targets: Sequence[str] | None = None,
) -> cg.Store:
    """Featurize a data set, or resume an interrupted build.

    Args:
      name: name of the data set.
      source: where its crystals come from.
      data: folder of the data.
      path: folder of the store.
      targets: properties to keep; all by default.

    Raises:
      InputError: the data set needs files, and there is no data folder, or it lacks them.
    """
    inputs = data / source.folder if data is not None else None
    if source.folder and (inputs is None or not inputs.exists()):
        raise InputError(
            f"{name}: expected the crystals in {source.folder!r} below the data folder, got "
            f"{data}; give a folder that has them with --data"
        )
    LOG.info("featurizing %s into %s", name, path)
    return cg.build_store(
        [inputs] if source.folder else cg.ionic_crystals(source.crystals, seed=0),
        path,
        source.graph,
        keep=cg.Filter(max_atoms=source.max_atoms, min_elements=2),
        targets=targets,
        on_error="skip" if source.folder else "raise",
        resume=True,
        show_progress=bool(source.folder),
    )


def split_by_formula(store: cg.Store) -> cg.Split:
    """Return the split of a data set in all experiments."""
    return store.make_split(FRACTIONS, by="formula", seed=SPLIT_SEED)


def _known(subset: cg.Dataset, training: Training) -> cg.Dataset:
    """Crystals with a target value above the minimum."""
    values = subset.target(training.target)
    low = -np.inf if training.minimum is None else training.minimum
    return subset.select(np.isfinite(values) & (np.nan_to_num(values) > low))


def nested(dataset: cg.Dataset, size: int, seed: int) -> cg.Dataset:
    """Return a random subset that is contained in every larger one of the same seed."""
    return select_ids(dataset, nested_subset(dataset.ids, size, seed=seed))


def select_ids(dataset: cg.Dataset, ids: Sequence[str]) -> cg.Dataset:
    """Return the crystals with the given ids, in their order."""
    positions = {name: position for position, name in enumerate(dataset.ids)}
    return dataset.select(np.array([positions[name] for name in ids]))
