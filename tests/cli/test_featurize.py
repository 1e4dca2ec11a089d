"""`cgatjax featurize` from end to end."""

import gzip
import json
from pathlib import Path

from tests.commands import ok, refused

from cgatjax.cli.commands.data.featurize import featurize
from cgatjax.data.store import open_store
from cgatjax.structures.plausibility import MIN_DISTANCE
from cgatjax.structures.readers import read_crystals

LOW, HIGH = "e-form@low", "e-form@high"


def test_skipped_and_filtered_crystals_are_counted(dcgat_file: Path, tmp_path: Path) -> None:
    poor = json.loads(gzip.decompress(dcgat_file.read_bytes()))
    poor["entries"][3]["structure"]["sites"][0]["species"] = [{"element": "Xx", "occu": 1.0}]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(poor))
    options = ("--workers", 1, "--max-atoms", 8)
    line = refused("featurize", bad, "--out", tmp_path / "a.store", *options)
    assert "Xx" in line
    output = ok("featurize", bad, "--out", tmp_path / "b.store", "--on-error", "skip", *options)
    store = open_store(tmp_path / "b.store")
    filtered = store.manifest["n_filtered"]
    assert f"{len(store)} crystals kept, {filtered} filtered, 1 skipped" in output
    assert len(store) + filtered + 1 == 48
    assert "Xx" in output
    assert "skipped.csv" in output


def test_properties_come_from_a_csv_table(tmp_path: Path) -> None:
    poscar = "rock salt\n1.0\n0 2 2\n2 0 2\n2 2 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
    cells, table = tmp_path / "cells", tmp_path / "cells" / "energies.csv"
    cells.mkdir()
    for name in ("a", "b"):
        (cells / f"{name}.vasp").write_text(poscar)
    table.write_text("file,e-form,heat\na,-1.5,\nb,-2,3\n")
    base = ("featurize", cells, "--workers", 1)
    assert "--properties" in refused(*base, "--out", tmp_path / "x")
    output = ok(*base, "--properties", table, "--out", tmp_path / "store")
    assert "2 crystals kept" in output
    assert "e-form (eV/atom): 2 values\n  heat (unit unknown: --unit): 1 values" in output
    table.unlink()
    assert "properties.csv" in refused(*base, "--target", "e-form", "--out", tmp_path / "y")
    assert "no properties" in ok(*base, "--out", tmp_path / "z")


def test_graph_options_come_from_flags_over_file_over_preset(
    dcgat_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "graph.toml"
    file.write_text('[graph]\nmax_neighbors = 12\nsplit_shell = "cut"\n')
    ok("featurize", dcgat_file, "--out", tmp_path / "s", "--workers", 1, "--recommended",
       "--config", file, "--max-neighbors", 16, "--target", LOW, "--unit", f"{LOW}=eV",
       "--no-reduce")  # fmt: skip
    store = open_store(tmp_path / "s")
    config = store.graph_config
    assert (config.max_neighbors, config.split_shell) == (16, "cut")
    assert config.tolerance_kind == "relative"
    assert store.units == {LOW: "eV"}
    assert not store.reduced


def test_the_volume_of_the_cell_is_stored_with_all_properties_or_by_name(
    dcgat_file: Path, store: Path, tmp_path: Path
) -> None:
    ok("featurize", dcgat_file, "--out", tmp_path / "s", "--workers", 1, "--target", LOW,
       "--target", "cell_volume")  # fmt: skip
    opened = open_store(tmp_path / "s")
    assert opened.units == {LOW: "eV/atom", "cell_volume": "A^3/atom"}
    expected = {c.id: c.volume / c.n_sites for c in read_crystals([dcgat_file])}
    assert dict(zip(opened.ids, opened.target("cell_volume"), strict=True)) == expected
    everything = open_store(store)
    assert everything.unit("cell_volume") == "A^3/atom"


def test_mistakes_get_one_line(dcgat_file: Path, store: Path, tmp_path: Path) -> None:
    new = ("--out", tmp_path / "new", "--workers", 1)
    assert "choose another folder" in refused("featurize", dcgat_file, "--out", store)
    assert "NAME=UNIT" in refused("featurize", dcgat_file, "--unit", "heat", *new)
    assert "no such file" in refused("featurize", tmp_path / "nothing.json", *new)
    assert HIGH in refused("featurize", dcgat_file, "--target", "e-form@none", *new)
    # A mistyped target leaves nothing that would be in the way of the second try.
    ok("featurize", dcgat_file, "--target", LOW, *new)


def test_a_resumed_build_leaves_a_finished_store_unchanged(
    dcgat_file: Path, store: Path, tmp_path: Path
) -> None:
    command = ("featurize", dcgat_file, "--out", tmp_path / "s", "--workers", 1, "--resume")
    assert "48 crystals kept" in ok(*command)
    assert "48 crystals kept" in ok(*command)
    assert open_store(tmp_path / "s").digest == open_store(store).digest
    assert "is finished, with GraphConfig" in refused(*command, "--recommended")
    (tmp_path / "s" / "store.json").rename(tmp_path / "s" / "unfinished.jsonl")
    assert "--resume" in refused("info", tmp_path / "s")


def test_a_short_distance_is_refused_and_a_total_is_divided_on_request(tmp_path: Path) -> None:
    poscar = "pair\n1.0\n4 0 0\n0 4 0\n0 0 4\nH O\n1 1\nDirect\n0 0 0\n0.1 0 0\n"
    (tmp_path / "pair.vasp").write_text(poscar)
    table = tmp_path / "table.csv"
    table.write_text("file,energy_total\npair,-6\n")
    base = ("featurize", tmp_path / "pair.vasp", "--properties", table, "--workers", 1)
    line = refused(*base, "--out", tmp_path / "a")
    assert "0.400 A apart" in line
    assert "--min-distance" in line
    ok(*base, "--min-distance", 0.3, "--per-atom", "energy_total", "--out", tmp_path / "b")
    store = open_store(tmp_path / "b")
    assert store.target("energy_total").tolist() == [-3]
    assert store.unit("energy_total") == "eV/atom"


def test_the_bound_on_distances_is_that_of_the_library() -> None:
    option = next(o for o in featurize.params if o.name == "min_distance")
    assert option.default == MIN_DISTANCE
