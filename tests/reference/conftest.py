"""Golden vectors of the reference, with weights and inputs rebuilt as its README describes."""

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest

from cgatjax import reference
from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch, collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.model.normalizer import Normalizer
from cgatjax.nn.cgat import CGAT
from cgatjax.structures.elements import atomic_number

TARGET = "e-form"


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and outputs of the reference's network from one golden file.

    `params` and the numbers of `batch` are float64; `batch` is padded, unlike in the reference.
    """

    arrays: Mapping[str, np.ndarray]
    state_dict: Mapping[str, np.ndarray]
    config: ModelConfig
    params: reference.ImportedParams
    batch: CrystalBatch

    @property
    def net(self) -> CGAT:
        return CGAT(self.config)

    @property
    def normalizer(self) -> Normalizer:
        mean, std = self.arrays["in/target_mean"], self.arrays["in/target_std"]
        return Normalizer(mean=float(mean), std=float(std))


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], Golden]:
    """Loader of golden files by name."""

    @cache
    def load(name: str) -> Golden:
        with np.load(shared / "reference" / f"{name}.npz") as file:
            arrays = {key: file[key] for key in file.files}
        state_dict = rebuilt_weights(arrays)
        config = reference.config_from_state_dict(state_dict, TARGET)
        params = reference.params_from_state_dict(state_dict, config)
        return Golden(arrays, state_dict, config, params, rebuilt_batch(arrays))

    return load


def rebuilt_weights(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    salt = json.loads(str(arrays["meta"]))["salt"]
    weights = {}
    for name, text in zip(arrays["param/names"].tolist(), arrays["param/shapes"], strict=True):
        shape = tuple(json.loads(str(text)))
        seed = (zlib.crc32(name.encode()) + salt) & 0xFFFFFFFF
        r = np.random.RandomState(seed).standard_normal(shape)
        if name.endswith("damping"):
            weights[name] = 0.2 + 0.1 * np.abs(r)
        elif name.endswith("pow"):
            weights[name] = 1 + 0.1 * r
        elif name.endswith("alpha"):
            weights[name] = 0.5 + 0.1 * r
        else:
            weights[name] = r / np.sqrt(np.prod(shape[1:])) if len(shape) >= 2 else 0.1 * r
    return weights


def rebuilt_batch(arrays: Mapping[str, np.ndarray]) -> CrystalBatch:
    """Padded batch in float64, with fractions rounded to float32 as in the reference."""
    numbers = np.array([atomic_number(symbol) for symbol in arrays["in/elements"].tolist()])
    sizes = arrays["in/n_node"]
    starts = np.cumsum(sizes) - sizes
    k = 24
    neighbors = arrays["in/nbr_idx"].reshape(-1, k)
    shells = arrays["in/nbr_fea"].reshape(-1, k)
    graphs = []
    for start, size in zip(starts, sizes, strict=True):
        sites = slice(start, start + size)
        graphs.append(
            CrystalGraph.from_neighbors(numbers[sites], neighbors[sites] - start, shells[sites])
        )
    with jax.enable_x64(True):
        batch = collate(graphs, {TARGET: arrays["in/target"]})
    fraction = batch.composition.nodes["fraction"].astype(np.float32).astype(np.float64)
    nodes = {**batch.composition.nodes, "fraction": fraction}
    return dataclasses.replace(batch, composition=batch.composition._replace(nodes=nodes))
