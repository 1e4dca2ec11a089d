"""Pickled tables: their numbers are read, what they name is not run."""

import gzip
import os
import pickle
from pathlib import Path

import pandas as pd
import pytest
from experiments.pickled_frames import read_pickled_frame

import cgatjax as cg

ROWS = pd.Index(["mp-1", "mp-2", "mp-3"], dtype=object)
COLUMNS = {
    "energy": [-1.5, float("nan"), -0.5],
    "single": pd.Series([1.0, 2.0, 3.0], ROWS, dtype="float32"),
    "sites": [2, 3, 4],
    "stable": [True, False, True],
    "name": pd.Series(["BN", None, "C"], ROWS, dtype=object),
    "by_temperature": [{298.15: -2.0}, {}, {298.15: 1.0, 400.0: 2.0}],
}


@pytest.mark.parametrize("protocol", [4, 5])
def test_numbers_of_a_table_of_pandas_are_read(tmp_path: Path, protocol: int) -> None:
    frame = pd.DataFrame(COLUMNS, index=ROWS)
    frame.columns = frame.columns.astype(object)
    frame.to_pickle(tmp_path / "x.pkl.gz", protocol=protocol)
    assert read_pickled_frame(tmp_path / "x.pkl.gz") == {
        "energy": {"mp-1": -1.5, "mp-3": -0.5},
        "single": {"mp-1": 1.0, "mp-2": 2.0, "mp-3": 3.0},
        "sites": {"mp-1": 2.0, "mp-2": 3.0, "mp-3": 4.0},
        "stable": {},
        "name": {},
        "by_temperature": {"mp-1": -2.0},
    }


class Call:
    """Pickles as a call of a function that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


def test_other_names_are_refused_and_not_run(tmp_path: Path) -> None:
    folder, file = tmp_path / "made", tmp_path / "x.pkl.gz"
    file.write_bytes(gzip.compress(pickle.dumps([Call(folder)])))
    with pytest.raises(cg.InputError, match=r"names \w+\.mkdir"):
        read_pickled_frame(file)
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b""), gzip.compress(b"text"), gzip.compress(pickle.dumps(3))],
    # Compressed bytes hold the time, and test processes must collect the same names.
    ids=["empty", "text", "compressed nothing", "compressed text", "number"],
)
def test_other_files_are_an_input_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.pkl.gz"
    file.write_bytes(content)
    with pytest.raises(cg.InputError, match="expected a"):
        read_pickled_frame(file)
