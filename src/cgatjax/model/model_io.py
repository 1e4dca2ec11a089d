"""Model files: safetensors and JSON, in which nothing can run.

A model folder holds `model.safetensors` (parameters, element vectors, hashes of the training
crystals), `config.json` (options, normalizers, units, element counts of the training crystals, the
trainings) and `manifest.json` (sizes and SHA-256 of the others). It is written whole or not at all,
and checked when it is read. Published models have further files (`cgatjax.pretrained`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.errors import InputError, MismatchError, RunExistsError
from cgatjax.model.model import Model, source_origin
from cgatjax.model.normalizer import SOURCE, Baseline, Normalizer
from cgatjax.model.training_record import CrystalHashes, TrainingRecord
from cgatjax.options import from_dict
from cgatjax.runs.run_folder import ENSEMBLE, MEMBERS
from cgatjax.runtime import MANIFEST, damage, new_folder, reading, recovered
from cgatjax.structures import SYMBOLS, ElementTable, atomic_number

WEIGHTS = "model.safetensors"
DESCRIPTION = "config.json"
FORMAT = 3
HALVED_FROM = 4096
"""Size of the arrays that can be stored in float16: most of the space, little of the rounding."""
_VECTORS, _KNOWN = "element_table/vectors", "element_table/known"
_SOURCES = "sources"
_SUBSETS = ("train", "valid", "test")


def save_model(path: str | Path, model: Model) -> None:
    """Write a model folder; an earlier model is replaced as a whole.

    Raises:
      RunExistsError: the folder holds other files than a model.
    """
    path = Path(path)
    held = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if foreign := sorted(held - {WEIGHTS, DESCRIPTION, MANIFEST}):
        raise RunExistsError(f"{path} holds more than a model ({foreign[0]}); choose another name")
    with new_folder(path) as folder:
        write_model(folder, model)


def write_model(folder: Path, model: Model, *, half: bool = False) -> None:
    """Write the two files of a model into an open folder of `new_folder`.

    With `half`, large arrays of parameters are stored in float16, and are read as float32.
    """
    description, tensors = _parts(model, half)
    (folder / WEIGHTS).write_bytes(save(tensors))
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1))


def _parts(model: Model, half: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return description and arrays of a model; those of the sources have their target in front."""
    flat = traverse_util.flatten_dict({"params": dict(model.params)}, sep="/")
    tensors = {name: np.asarray(value, order="C") for name, value in flat.items()}
    if half:
        tensors = {name: halved(value) for name, value in tensors.items()}
    tensors[_VECTORS] = np.ascontiguousarray(model.element_table.vectors)
    tensors[_KNOWN] = np.ascontiguousarray(model.element_table.known)
    description: dict[str, Any] = {
        "format": FORMAT,
        "model": model.config.to_dict(),
        "graph": model.graph_config.to_dict(),
        "element_table": model.element_table.name,
        "normalizers": {name: asdict(n) for name, n in model.normalizers.items()},
        "units": dict(model.units),
        "predicts_std": list(model.predicts_std),
    }
    if model.record is not None:
        for subset in _SUBSETS:
            hashes: CrystalHashes = getattr(model.record, subset)
            tensors |= {f"record/{subset}_{k}": packed(v) for k, v in hashes._asdict().items()}
        description["record"] = {
            "training": _symbols_and_counts(model.record.training),
            "pretraining": _symbols_and_counts(model.record.pretraining),
            "stages": list(model.record.stages),
        }
    sources = {target: _parts(source, half) for target, source in model.sources.items()}
    if sources:
        description["sources"] = {target: about for target, (about, _) in sources.items()}
    for target, (_, arrays) in sources.items():
        tensors |= {f"{_SOURCES}/{target}/{name}": value for name, value in arrays.items()}
    return description, tensors


def halved(value: np.ndarray) -> np.ndarray:
    """Convert a large array to float16; a small one, such as the last layer of a head, as it is."""
    return value.astype(np.float16) if value.size >= HALVED_FROM else value


def read_model(path: str | Path) -> Model:
    """Read a model from its folder, or from the run folder that holds it as `model/`.

    Raises:
      InputError: there is no model, an ensemble, or a file of the model is damaged.
      MismatchError: the weights are not those of the described network; all differences listed.
    """
    if (Path(path) / ENSEMBLE).is_file():
        raise InputError(
            f"{path} holds an ensemble, expected one model; use load_predictor, or take the "
            f"member {Path(path) / MEMBERS / '0'}"
        )
    folder = recovered(Path(path) / "model")
    folder = folder if folder.is_dir() else recovered(path)
    if not any((folder / name).exists() for name in (DESCRIPTION, WEIGHTS, MANIFEST)):
        found = "it holds none" if Path(path).is_dir() else "there is no such folder"
        raise InputError(
            f"{path}: expected the folder of a run (of `cgatjax train`) or of a model; {found}"
        )
    fault = damage(folder) if (folder / DESCRIPTION).is_file() else f"{DESCRIPTION}: missing"
    if fault is not None:
        raise InputError(
            f"{path}: expected a run or model folder with {DESCRIPTION}, {WEIGHTS} and {MANIFEST} "
            f"as they were saved; found {fault}. Copy or save the model again"
        )
    with reading(folder, "a model", "copy or save it again", SafetensorError):
        description = json.loads((folder / DESCRIPTION).read_text())
        model = _described(description, load_file(folder / WEIGHTS))
        check_params(model.params, model)
        _check_sources(model)
    return model


def _check_sources(model: Model) -> None:
    """Check that the models that are baselines are there and are those of the training."""
    for target, normalizer in model.normalizers.items():
        if normalizer.baseline is None or normalizer.baseline.name != SOURCE:
            continue
        source = model.sources.get(target)
        if source is None:
            raise MismatchError(f"the model that is the baseline of {target!r} is missing")
        check_params(source.params, source)
        normalizer.baseline.check_origin(source_origin(source), target, "the model file")
        _check_sources(source)


def _described(description: Mapping[str, Any], tensors: dict[str, np.ndarray]) -> Model:
    """Build the model of a description and its arrays; built-in errors for missing entries."""
    if description["format"] != FORMAT:
        found = description["format"]
        raise InputError(f"model format {found!r:.80}, this version reads {FORMAT}")
    _require_text("the element table's name", [description["element_table"]])
    _require_text("units", [*description["units"], *description["units"].values()])
    _require_text("targets with a learned std", description["predicts_std"])
    table = ElementTable(
        name=description["element_table"], vectors=tensors.pop(_VECTORS), known=tensors.pop(_KNOWN)
    )
    record = _record(description, tensors)
    sources = {
        target: _described(about, _taken(tensors, f"{_SOURCES}/{target}/"))
        for target, about in description.get("sources", {}).items()
    }
    params = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in tensors.items()}
    return Model(
        config=from_dict(ModelConfig, description["model"]),
        params=traverse_util.unflatten_dict(params, sep="/")["params"],
        graph_config=from_dict(GraphConfig, description["graph"]),
        element_table=table,
        normalizers={n: _normalizer(v) for n, v in description["normalizers"].items()},
        units=description["units"],
        predicts_std=tuple(description["predicts_std"]),
        record=record,
        sources=sources,
    )


def _normalizer(plain: Mapping[str, Any]) -> Normalizer:
    baseline = plain.get("baseline")
    return Normalizer(**{**plain, "baseline": None if baseline is None else Baseline(**baseline)})


def _taken(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Remove the arrays with a prefix from a dictionary, and return them by name without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _record(
    description: Mapping[str, Any], tensors: dict[str, np.ndarray]
) -> TrainingRecord | None:
    """Build the training record; None for models without one."""
    if "record" not in description:
        return None
    found = description["record"]
    if not all(isinstance(stage, dict) for stage in found["stages"]):
        raise InputError(f"expected trainings with their entries, got {found['stages']!r:.80}")
    return TrainingRecord(
        training=_counts(found["training"]),
        pretraining=None if found["pretraining"] is None else _counts(found["pretraining"]),
        stages=tuple(found["stages"]),
        **{subset: _hashes(subset, tensors) for subset in _SUBSETS},
    )


def _hashes(subset: str, tensors: dict[str, np.ndarray]) -> CrystalHashes:
    stored = [tensors.pop(f"record/{subset}_{kind}") for kind in CrystalHashes._fields]
    return CrystalHashes(*map(unpacked, stored))


def packed(numbers: np.ndarray) -> np.ndarray:
    """Store sorted uint64 numbers as the bytes of their differences: (bytes, n) uint8.

    Lowest bytes come first, and highest bytes that are zero in all differences are left out.
    """
    differences = np.diff(numbers, prepend=np.uint64(0)).astype("<u8")
    planes = differences.view(np.uint8).reshape(-1, 8).T
    used = np.flatnonzero(planes.any(axis=1))
    return np.ascontiguousarray(planes[: used[-1] + 1 if len(used) else 0])


def unpacked(planes: np.ndarray) -> np.ndarray:
    """Restore the numbers (n,) of `packed`; InputError for an array of other type or shape."""
    fits = planes.ndim == 2 and len(planes) <= 8 and planes.shape[1] <= max(planes.size, 1)
    if planes.dtype != np.uint8 or not fits:
        raise InputError(f"expected hashes (up to 8, n) uint8, got {planes.shape} {planes.dtype}")
    differences = np.zeros((planes.shape[1], 8), np.uint8)
    differences[:, : len(planes)] = planes.T
    return np.cumsum(differences.view("<u8")[:, 0], dtype=np.uint64)


def _symbols_and_counts(counts: np.ndarray | None) -> dict[str, int] | None:
    """Map the symbols of the elements that occur to their counts."""
    if counts is None:
        return None
    return {SYMBOLS[z]: int(counts[z]) for z in np.flatnonzero(counts)}


def _counts(by_symbol: Mapping[str, int]) -> np.ndarray:
    """Tabulate counts by atomic number, the inverse of `_symbols_and_counts`."""
    counts = np.zeros(len(SYMBOLS), np.int64)
    for symbol, count in by_symbol.items():
        if not isinstance(count, int) or count < 0:
            raise InputError(f"expected the count of {symbol!r:.20}, got {count!r:.80}")
        counts[atomic_number(symbol)] = count
    return counts


def _require_text(what: str, values: Iterable[Any]) -> None:
    wrong = [value for value in values if not isinstance(value, str)]
    if wrong:
        raise InputError(f"expected {what} as text, got {wrong!r:.80}")


def check_params(params: Mapping[str, Any], model: Model) -> None:
    """Raise MismatchError unless the parameters have the network's names and shapes."""
    # Before the network is traced: a damaged description may announce a billion layers.
    config, arrays = model.config, len(jax.tree.leaves(params))
    layers = config.steps + config.composition_steps + len(config.head_widths)
    if layers > arrays or config.max_shells > 255:
        raise MismatchError(
            f"weights do not fit the network: {arrays} arrays for {layers} layers, "
            f"{config.max_shells} shells (at most 255)"
        )
    expected = _shapes(model.network.param_shapes())
    found = _shapes(params)
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected))
    misshapen = [
        f"{n}: expected {expected[n]}, got {found[n]}"
        for n in sorted(set(expected) & set(found))
        if expected[n] != found[n]
    ]
    if missing or unexpected or misshapen:
        raise MismatchError(
            f"weights do not fit the network: missing {missing}, unexpected {unexpected}, "
            f"misshapen {misshapen}"
        )


def _shapes(params: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    return {name: tuple(value.shape) for name, value in flat.items()}
