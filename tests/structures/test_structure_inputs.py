"""pymatgen structures, ASE atoms and crystals give the same wherever structures are taken."""

import dataclasses
import logging
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import cgatjax as cg
from cgatjax.structures.readers import count_structures

CRYSTALS = [dataclasses.replace(c, id=f"made-{k}") for k, c in enumerate(cg.ionic_crystals(3))]
LOW = "e-form@low"


def as_structure(crystal: cg.Crystal) -> Any:
    from pymatgen.core import Structure

    properties = {"id": crystal.id, **crystal.targets}
    numbers = crystal.atomic_numbers.tolist()
    return Structure(crystal.lattice, numbers, crystal.frac_coords, properties=properties)


def as_atoms(crystal: cg.Crystal) -> Any:
    ase = pytest.importorskip("ase")
    return ase.Atoms(
        crystal.atomic_numbers,
        cell=crystal.lattice,
        scaled_positions=crystal.frac_coords,
        pbc=True,
        info={"id": crystal.id, **crystal.targets},
    )


@pytest.fixture(params=[as_structure, as_atoms], ids=["pymatgen", "ase"])
def inputs(request) -> list[Any]:
    return [request.param(crystal) for crystal in CRYSTALS]


@pytest.fixture(scope="module")
def expected(trained) -> np.ndarray:
    return cg.predict(trained[0], CRYSTALS).mean


def rows(screened: Any) -> dict[str, float]:
    (file,) = screened.results.glob("*.parquet")
    table = pq.read_table(file)
    return dict(zip(table["id"].to_pylist(), table["mean"].to_pylist(), strict=True))


def test_reading_and_featurizing(inputs):
    config = cg.GraphConfig.recommended()
    found = list(cg.read_crystals(inputs))
    assert [c.id for c in found] == [c.id for c in CRYSTALS]
    assert [c.targets for c in found] == [dict(c.targets) for c in CRYSTALS]
    for structure, crystal in zip(inputs, CRYSTALS, strict=True):
        graph = cg.featurize(structure, config)
        assert cg.graph_hash(graph) == cg.graph_hash(cg.featurize(crystal, config))


def test_building_a_store(inputs, tmp_path):
    config = cg.GraphConfig.recommended()
    made = cg.build_store(inputs, tmp_path / "made", config)
    same = cg.build_store(CRYSTALS, tmp_path / "same", config)
    assert made.ids == same.ids
    np.testing.assert_array_equal(made.target(LOW), same.target(LOW))
    np.testing.assert_array_equal(made.hashes(), same.hashes())


def test_predicting_several_or_one(trained, inputs, expected):
    model, _ = trained
    for several in (inputs, tuple(inputs), iter(inputs)):
        np.testing.assert_allclose(cg.predict(model, several).mean, expected, rtol=1e-5)
    np.testing.assert_allclose(cg.predict(model, inputs[0]).mean, expected[:1], rtol=1e-5)


def test_screening_them_or_their_decorations(trained, inputs, expected, tmp_path):
    model, _ = trained
    found = rows(cg.screen(model, inputs, tmp_path / "stream"))
    assert found == {
        crystal.id: pytest.approx(value, rel=1e-5)
        for crystal, value in zip(CRYSTALS, expected, strict=True)
    }
    own = cg.screen(model, inputs[:1], tmp_path / "decorated", elements={})
    assert list(rows(own).values()) == pytest.approx(expected[:1].tolist(), rel=1e-5)


def test_structures_are_counted_where_each_file_or_object_is_one(tmp_path, inputs, caplog):
    for crystal in CRYSTALS:
        as_structure(crystal).to(str(tmp_path / f"{crystal.id}.cif"))
    assert count_structures(inputs) == count_structures(tmp_path) == len(CRYSTALS)
    assert count_structures(inputs[0]) == count_structures([tmp_path / "made-0.cif"]) == 1
    with caplog.at_level(logging.INFO, "cgatjax"):
        cg.build_store([tmp_path], tmp_path / "store", show_progress=True)
        assert "featurize: 3 of 3, 0 skipped" in caplog.messages
    (tmp_path / "values.csv").write_text("id,e-form\nmade-0,1.0\n")
    assert count_structures(tmp_path) is None
    assert count_structures(iter(inputs)) is None
