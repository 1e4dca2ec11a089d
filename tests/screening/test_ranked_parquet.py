"""Parquet files of ranked rows, and the merge of sorted files."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import InputError
from cgatjax.screening import ranked_parquet as parquet
from cgatjax.screening.ranked_parquet import (
    count_unseen,
    means_of,
    merged,
    ranking,
    read_rows,
    write_rows,
)


def ranked(means, name: str = "c") -> pa.Table:
    """Rows whose odd ones are decorations with a standard deviation and unseen elements."""
    known = {
        "prototype": "p",
        "elements": [("A", "Na"), ("B", "Cl")],
        "std": 0.5,
        "out_of_distribution": True,
        "unseen_elements": "Cm Bk",
        "rare_elements": "Cm Bk Cf",
    }
    rows = [
        {
            "id": f"{name}{k}",
            "formula": "NaCl",
            "mean": float(mean),
            "lower": float(mean) - 1,
            "upper": float(mean) + 1,
            "unit": "eV/atom",
            "std_note": "made up",
            "out_of_distribution": False,
            **(known if k % 2 else {}),
        }
        for k, mean in enumerate(means)
    ]
    return pa.Table.from_pylist(rows, schema=parquet.SCHEMA)


def test_rows_and_metadata_round_trip(tmp_path) -> None:
    file = tmp_path / "a.parquet"
    write_rows(file, ranked([1.0, 2.0]), {"target": "gap"})
    assert read_rows(file).to_pylist()[1] == {
        "id": "c1",
        "prototype": "p",
        "formula": "NaCl",
        "elements": [("A", "Na"), ("B", "Cl")],
        "mean": 2.0,
        "std": 0.5,
        "lower": 1.0,
        "upper": 3.0,
        "hull_distance": None,
        "unit": "eV/atom",
        "std_note": "made up",
        "out_of_distribution": True,
        "unseen_elements": "Cm Bk",
        "rare_elements": "Cm Bk Cf",
    }
    first = read_rows(file).to_pylist()[0]
    assert (first["prototype"], first["elements"], first["std"]) == (None, None, None)
    assert (first["unseen_elements"], first["out_of_distribution"]) == (None, False)
    assert count_unseen([file, file]) == (2, 4, {"Cm", "Bk"})
    assert pq.read_schema(file).metadata[b"target"] == b"gap"
    again = tmp_path / "b.parquet"
    write_rows(again, ranked([1.0, 2.0]), {"target": "gap"})
    assert again.read_bytes() == file.read_bytes()


@given(
    st.lists(st.lists(st.integers(-5, 5), max_size=9), min_size=1, max_size=4),
    st.booleans(),
    st.none() | st.integers(1, 12),
    st.integers(1, 5),
)
def test_the_merge_is_a_stable_sort_of_all_rows(tmp_path_factory, lists, highest, most, rows):
    folder = tmp_path_factory.mktemp("merge")
    files, everything = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP", 2)
        for number, values in enumerate(lists):
            ordered = sorted(values, reverse=highest)
            files.append(folder / f"{number}.parquet")
            write_rows(files[-1], ranked(ordered, f"{number}-"), {})
            everything += [(v, f"{number}-{k}") for k, v in enumerate(ordered)]
        tables = list(merged(files, highest, most, rows))
    everything.sort(key=lambda pair: -pair[0] if highest else pair[0])
    assert all(len(t) == rows for t in tables[:-1])
    found = [r for t in tables for r in t.to_pylist()]
    assert [(r["mean"], r["id"]) for r in found] == everything[:most]


def test_ranking_is_stable() -> None:
    assert ranking(np.array([1.0, 0.0, 1.0, 0.0]), highest=False).tolist() == [1, 3, 0, 2]
    assert ranking(np.array([1.0, 0.0, 1.0, 0.0]), highest=True).tolist() == [0, 2, 1, 3]


def test_missing_and_damaged_files_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="got none"):
        read_rows(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"a\.parquet: expected a Parquet file"):
        read_rows(tmp_path)
    with pytest.raises(InputError, match="expected a Parquet file"):
        means_of(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    assert read_rows(tmp_path).num_rows == 1
