"""`cgatjax embed` from end to end."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.commands import is_png, ok, refused

from cgatjax.data.store import open_store
from cgatjax.plotting.style import save_figure

LOW = "e-form@low"


def test_the_table_has_every_crystal_and_a_map_is_drawn(
    recommended_store: Path, robust_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def save(drawn: Any, file: Path) -> None:
        titles.append(drawn.axes[0].get_title())
        save_figure(drawn, file)

    monkeypatch.setattr("cgatjax.plotting.style.save_figure", save)
    out, figure = tmp_path / "deep" / "points.parquet", tmp_path / "map.png"
    output = ok("embed", robust_run, recommended_store, "--out", out, "--map", figure)
    assert "48 crystals (all crystals), 12 numbers each" in output
    assert "principal components" in output
    table = pq.read_table(out)
    names = ["id", "formula", LOW, f"{LOW}:prediction", f"{LOW}:std", "embedding"]
    assert table.column_names == names
    store = open_store(recommended_store)
    assert table.column("id").to_pylist() == store.ids
    assert table.column(LOW).to_pylist() == store.target(LOW).tolist()
    assert table.schema.metadata[f"unit of {LOW}".encode()] == b"eV/atom"
    assert is_png(figure)
    assert [" ".join(title.split()) for title in titles] == [f"{robust_run}, all crystals"]


def test_a_mistyped_property_of_the_map_is_noticed_before_the_work(
    recommended_store: Path, robust_run: Path, tmp_path: Path
) -> None:
    base = ("embed", robust_run, recommended_store, "--out", tmp_path / "points.parquet")
    line = refused(*base, "--map", tmp_path / "map.png", "--target", "e-from")
    assert "expected one of" in line
    assert not list(tmp_path.iterdir())
