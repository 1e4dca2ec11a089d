"""The data sets of the experiments: stores that are built once, one fixed split each, subsets."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import cgatjax as cg
from cgatjax.data.splits import nested_subset
from cgatjax.data.store import MANIFEST
from cgatjax.errors import InputError
from cgatjax.options import Options
from experiments.claims import claimed
from experiments.specification import Training

LOG = logging.getLogger("cgatjax")
SPLIT_SEED = 0
RECOMMENDED = cg.GraphConfig.recommended()
FRACTIONS = (0.8, 0.1, 0.1)


@dataclass(frozen=True, kw_only=True)
class Source(Options):
    """Where the crystals of one data set come from.

    Attributes:
      label: the functional, for tables and figures.
      folder: below the data folder; "" for crystals that the package generates itself.
      crystals: about how many it has after filtering, for dry runs; of generated ones, exactly.
      max_atoms: largest cell to keep.
      graph: how crystals become graphs.
      differences: (name, property, property that is subtracted) of further properties; the value
        is unknown where one of the two is.
    """

    label: str
    folder: str = ""
    crystals: int
    max_atoms: int = 1000
    graph: cg.GraphConfig = RECOMMENDED
    differences: tuple[tuple[str, str, str], ...] = ()


class Sources:
    """Stores, splits and parts of the data sets of one scale.

    Attributes:
      sources: name -> where it comes from.
    """

    def __init__(self, sources: Mapping[str, Source], data: Path | None, out: Path) -> None:
        self.sources = sources
        self._data = data
        self._folder = out / "stores"
        self._stores: dict[str, cg.Store] = {}
        self._splits: dict[str, cg.Split] = {}

    def store(self, name: str) -> cg.Store:
        """The featurized data set, built on first use.

        Raises:
          InputError: it needs files, and no data folder was given, or the folder lacks them.
        """
        if name not in self._stores:
            path = self._folder / f"{name}-{self.sources[name].digest()}"
            with claimed(path, wait=True):
                ready = (path / MANIFEST).is_file()
                self._stores[name] = cg.open_store(path) if ready else self._build(name, path)
        return self._stores[name]

    def _build(self, name: str, path: Path) -> cg.Store:
        source = self.sources[name]
        keep = cg.Filter(max_atoms=source.max_atoms, min_elements=2)
        config = source.graph
        LOG.info("featurizing %s into %s", name, path)
        differences = {new: (one, other) for new, one, other in source.differences}
        if not source.folder:
            crystals = cg.ionic_crystals(source.crystals, seed=0)
            return cg.build_store(
                crystals, path, config, differences=differences, keep=keep, resume=True
            )
        if self._data is None or not (self._data / source.folder).exists():
            raise InputError(
                f"{name}: expected the crystals in {source.folder!r} below the data folder, got "
                f"{self._data}; give a folder that has them with --data"
            )
        return cg.build_store(
            [self._data / source.folder], path, config, differences=differences,
            keep=keep, on_error="skip", resume=True, show_progress=True,
        )  # fmt: skip

    def split(self, name: str) -> cg.Split:
        """The 80/10/10 split by formula, the same in every experiment."""
        if name not in self._splits:
            store = self.store(name)
            self._splits[name] = store.make_split(FRACTIONS, by="formula", seed=SPLIT_SEED)
        return self._splits[name]

    @cached_property
    def fingerprints(self) -> "Fingerprints":
        """Data set -> hash of its contents and its split; a store is built when it is asked for."""
        return Fingerprints(self)

    def judged_formulas(self, name: str) -> frozenset[str]:
        """Formulas of the validation and test part of a data set."""
        _, valid, test = self.store(name).apply(self.split(name))
        return frozenset([*valid.formulas, *test.formulas])

    def parts(self, training: Training) -> tuple[cg.Dataset, cg.Dataset, cg.Dataset]:
        """Training, validation and test set of a training.

        Raises:
          InputError: the training part has fewer crystals than asked for.
        """
        store, split = self.store(training.data), self.split(training.data)
        for other in training.held_out:
            split = cg.exclude(
                split, store, self.split(other), by="formula", home=self.store(other)
            )
        train, valid, test = (self._known(part, training) for part in store.apply(split))
        if training.size is not None:
            train = nested(train, training.size, training.seed)
        return train, valid, test

    def _known(self, part: cg.Dataset, training: Training) -> cg.Dataset:
        """The crystals whose target is known and above the minimum."""
        values = part.target(training.target)
        low = -np.inf if training.minimum is None else training.minimum
        return part.select(np.isfinite(values) & (np.nan_to_num(values) > low))

    def expected_size(self, training: Training) -> int:
        """Crystals in the training set without looking at the data (all of it, where unknown)."""
        everything = round(FRACTIONS[0] * self.sources[training.data].crystals)
        return everything if training.size is None else min(training.size, everything)


class Fingerprints(dict[str, str]):
    """Hashes of the contents and the split of data sets, made when they are asked for."""

    def __init__(self, sources: Sources) -> None:
        super().__init__()
        self._sources = sources

    def __missing__(self, name: str) -> str:
        split = self._sources.split(name)
        ids = [list(split.train), list(split.valid), list(split.test)]
        text = json.dumps([self._sources.store(name).digest, ids])
        self[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self[name]


def nested(part: cg.Dataset, size: int, seed: int) -> cg.Dataset:
    """A random subset that is contained in every larger one of the same seed."""
    ids = list(part.ids)
    place = {name: position for position, name in enumerate(ids)}
    chosen = nested_subset(ids, size, seed=seed)
    return part.select(np.array([place[name] for name in chosen]))
