"""Files for the JARVIS leaderboard: predictions of the test set of a benchmark.

K. Choudhary et al., npj Comput. Mater. 10 (2024) 93. A benchmark is a file with {"train": {id:
value}, "val": ..., "test": ...}, DATASET_PROPERTY.json.zip; a contribution is a folder with a file
AI-SinglePropertyPrediction-PROPERTY-DATASET-test-mae.csv.zip and metadata.json.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cgatjax as cg
from cgatjax.runtime import csv_bytes, reading, write_durably
from cgatjax.structures.formats import open_stream

METADATA = ("model_name", "project_url", "date_submitted", "author_email", "team_name")
"""Keys that metadata must have."""

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""Time in zip files, so that equal predictions give equal bytes."""


def benchmark_name(path: str | Path, prop: str) -> str:
    """Return the name of the contribution's file for the test set of a benchmark.

    InputError if the name of the benchmark's file does not end in the property.

    >>> benchmark_name("dft_3d_mbj_bandgap.json.zip", "mbj_bandgap")
    'AI-SinglePropertyPrediction-mbj_bandgap-dft_3d-test-mae.csv'
    """
    stem = Path(path).name.split(".")[0]
    if not stem.endswith(f"_{prop}"):
        raise cg.InputError(f"{path}: expected a benchmark DATASET_{prop}.json.zip")
    return f"AI-SinglePropertyPrediction-{prop}-{stem.removesuffix(f'_{prop}')}-test-mae.csv"


def write_contribution(
    predictions: Mapping[str, float],
    benchmark: str | Path,
    prop: str,
    metadata: Mapping[str, Any],
    folder: str | Path,
) -> Path:
    """Write a contribution to the JARVIS leaderboard.

    Args:
      predictions: id -> prediction in the unit of the benchmark, for its whole test set.
      benchmark: file DATASET_PROPERTY.json.zip of the leaderboard.
      prop: the property.
      metadata: content of metadata.json, at least `METADATA`.
      folder: folder to write to.

    Returns:
      Path of the file of predictions.

    Raises:
      InputError: predictions are missing for test ids, or metadata lack a key.
    """
    name = benchmark_name(benchmark, prop)
    with reading(Path(benchmark), "a benchmark with a test set"), open_stream(Path(benchmark)) as s:
        test = {key: float(value) for key, value in json.load(s)["test"].items()}
    lacking = [key for key in test if not math.isfinite(predictions.get(key, math.nan))]
    if lacking:
        raise cg.InputError(
            f"{benchmark}: {len(lacking)} of its {len(test)} test ids have no prediction: "
            f"{lacking[:5]}"
        )
    missing = [key for key in METADATA if not metadata.get(key)]
    if missing:
        raise cg.InputError(f"metadata: expected {list(METADATA)}; {missing} are missing")
    rows = ((key, repr(value), repr(float(predictions[key]))) for key, value in test.items())
    text = csv_bytes([("id", "target", "prediction"), *rows])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name, _FIXED_TIME)
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, text)
    path = Path(folder) / f"{name}.zip"
    write_durably(path, packed.getvalue())
    content = {"time_taken_seconds": {path.name: ""}, **metadata}
    write_durably(path.parent / "metadata.json", json.dumps(content, indent=1).encode())
    return path
