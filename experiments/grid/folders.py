"""Data folders of an experiment: all that is missing in them, found before anything is built."""

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import cgatjax as cg
from cgatjax.errors import CgatjaxError
from cgatjax.model.normalizer import SOURCE
from cgatjax.structures.properties import CELL_VOLUME
from experiments.grid.datasets import DatasetSource
from experiments.grid.training import Training

SAMPLE = 200
"""Crystals of each folder that are read."""

PAGE = "docs/table1.md"
"""Page that tells where the data come from."""


def needed_properties(
    sources: Mapping[str, DatasetSource], trainings: Iterable[Training]
) -> dict[str, list[str]]:
    """Return the folders that trainings read, with the properties that they need of each.

    A property NAME@FUNCTIONAL may be called NAME in the folder.
    """
    needed: dict[str, list[str]] = {}
    for training in trainings:
        for name in (training.data, *training.held_out):
            folder = sources[name].folder
            if folder:
                needed.setdefault(folder, [])
        source = sources[training.data]
        baseline = training.train.baseline
        wanted = [training.target]
        wanted += [baseline] if baseline and baseline not in (SOURCE, CELL_VOLUME) else []
        if source.folder:
            known = needed[source.folder]
            known += [name for name in wanted if name not in known]
    return needed


def missing_data(needed: Mapping[str, list[str]], data: Path | None) -> list[str]:
    """Return a line for each folder that is missing and each property that it lacks.

    Args:
      needed: folder -> properties, see `needed_properties`.
      data: folder that has them, None if none was given.
    """
    if data is None:
        return [f"no data folder; give one with --data that has {', '.join(needed)}"] * bool(needed)
    return [line for folder, names in needed.items() for line in _faults(data / folder, names)]


def _faults(folder: Path, names: list[str]) -> list[str]:
    if not folder.is_dir():
        return [f"{folder}: does not exist; {PAGE} tells what belongs there"]
    try:
        sample = list(islice(cg.read_crystals(folder), SAMPLE))
    except CgatjaxError as error:
        return [str(error)]
    crystals = [item for item in sample if isinstance(item, cg.Crystal)]
    if not crystals:
        return [f"{folder}: none of the first {len(sample)} crystals can be used: {sample[0]}"]
    known = {n for c in crystals for n, value in c.targets.items() if math.isfinite(value)}
    lacking = [name for name in names if not known & {name, name.split("@")[0]}]
    return [
        f"{folder}: no {name} among the first {len(crystals)} crystals, which have "
        f"{sorted(known)}; {PAGE} tells how to make it"
        for name in lacking
    ]
