"""Graphs of new structures, made with the options and for the elements of a model."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.graph_list import GraphList
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.reduction import graph_or_rejected
from cgatjax.inference.baselines import advice
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.structures import Crystal, ElementTable, Rejected
from cgatjax.structures.readers import read_crystals

CHUNK = 4096
"""Structures featurized before they are predicted, so that memory stays bounded."""


def graphs_of(
    model: Model | Predictor,
    structures: Any,
    *,
    properties: str | Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
) -> tuple[Dataset, list[Rejected]]:
    """Make the reduced graphs of new structures, a data set in memory, and list rejected ones.

    The model decides graph options, known elements, and the properties that are read (baselines).
    The other arguments are those of `predict`.
    """
    skipped: list[Rejected] = []
    predictor = Predictor.of(model)
    parts = list(featurized_parts(predictor, structures, properties, on_error, skipped))
    graphs = GraphList.join(parts, predictor.graph_config)
    return Dataset(graphs, np.arange(len(graphs))), skipped


def featurized_parts(
    predictor: Predictor,
    structures: Any,
    properties: str | Path | None,
    on_error: str,
    skipped: list[Rejected],
) -> Iterator[GraphList]:
    """Yield reduced graphs of new structures with their baselines, CHUNK at a time."""
    names = predictor.properties
    found = iter(read_crystals(structures, targets=names, properties=properties))
    while chunk := list(islice(found, CHUNK)):
        pairs: list[tuple[CrystalGraph, Crystal]] = []
        for item in chunk:
            made = featurized(item, predictor.graph_config, names, predictor.model.element_table)
            if isinstance(made, CrystalGraph) and isinstance(item, Crystal):
                pairs.append((made, item))
            elif isinstance(made, Rejected):
                if on_error == "raise":
                    raise made.error(can_skip=len(chunk) > 1)
                skipped.append(made)
        if pairs:
            yield GraphList.of(pairs, predictor.graph_config, names)


def featurized(
    item: Crystal | Rejected,
    config: GraphConfig,
    names: Sequence[str],
    table: ElementTable | None = None,
) -> CrystalGraph | Rejected:
    """Make the reduced graph of a crystal with values of all named properties.

    A rejected one is returned as it is. A table of vectors decides which elements are allowed.
    """
    if isinstance(item, Rejected):
        return item
    lacking = [n for n in names if not math.isfinite(item.targets.get(n, math.nan))]
    missing = table.missing(item.atomic_numbers) if table is not None else []
    if lacking:
        reason = f"no value of {lacking}; {'; '.join(map(advice, lacking))}"
    elif table is not None and missing:
        reason = f"the element table {table.name!r} has no vector for {missing}"
    else:
        return graph_or_rejected(item, config)
    return Rejected(id=item.id, source=item.source, reason=reason)
