"""What stands in an embedding file is what was written, in types that other tools read."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from cgatjax.errors import InputError
from cgatjax.inference.embedding_table import write_embeddings


def test_rows_come_back_with_nulls_and_notes(tmp_path):
    path = tmp_path / "embeddings.parquet"
    points = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_embeddings(
        path, {"id": ["a", "b"]}, {"gap": np.array([1.5, np.nan])}, points, {"model": "runs/pbe"}
    )
    table = pq.read_table(path)
    assert table.column_names == ["id", "gap", "embedding"]
    assert table.to_pylist() == [
        {"id": "a", "gap": 1.5, "embedding": [0, 1, 2]},
        {"id": "b", "gap": None, "embedding": [3, 4, 5]},
    ]
    assert table.schema.metadata[b"model"] == b"runs/pbe"
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[3]"
    assert list(tmp_path.iterdir()) == [path]


def test_columns_of_other_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"2 rows, got \{'id': 1\}"):
        write_embeddings(tmp_path / "x.parquet", {"id": ["a"]}, {}, np.zeros((2, 3)), {})
    assert list(tmp_path.iterdir()) == []
