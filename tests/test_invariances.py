"""Changes of description that must not change the graph; docs/invariances.md has the table."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "invariances.py"
_spec = importlib.util.spec_from_file_location("invariances", SCRIPT)
invariances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(invariances)

CHANGES = list(invariances.CHANGES)
RECOMMENDED = GraphConfig.recommended()


def changed(crystals, config, change, seed=0):
    """Ids of the crystals whose graphs a network can tell from the graphs of the changed ones."""
    found = []
    for number, crystal in enumerate(crystals):
        other = invariances.CHANGES[change](crystal, np.random.default_rng([seed, number]))
        before, after = (invariances.signature(featurize(c, config)) for c in (crystal, other))
        if before != after:
            found.append(crystal.id)
    return found


@pytest.fixture(scope="module")
def symmetric():
    return ionic_crystals(30, seed=1)


@pytest.fixture(scope="module")
def random():
    return [invariances.random_crystal(seed) for seed in range(30)]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_changes_the_recommended_graphs(symmetric, random, change):
    assert changed([*symmetric, *random], RECOMMENDED, change) == []


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_changes_the_recommended_graphs_of_real_crystals(shared, change):
    crystals = list(read_crystals([shared / "reference" / "entries.json.gz"]))
    assert changed(crystals[::8], RECOMMENDED, change) == []


@pytest.mark.parametrize("change", [c for c in CHANGES if c != "1e-7 A of noise"])
def test_shared_shells_are_invariant_unless_atoms_move(symmetric, random, change):
    # Exact cells of short numbers; 1e-8 A is above the noise of the arithmetic.
    config = GraphConfig.released(split_shell="share")
    assert changed([*symmetric, *random], config, change) == []


def test_noise_splits_the_shells_of_the_released_options():
    places = [[0.0] * 3, [0.5] * 3, [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    perovskite = Crystal(
        id="SrTiO3",
        lattice=3.9 * np.eye(3),
        frac_coords=np.array(places),
        atomic_numbers=np.array([38, 22, 8, 8, 8], np.uint8),
    )
    shaken = invariances.shaken(perovskite, np.random.default_rng(0))
    largest = {
        name: [int(featurize(c, config).edge_shell.max()) for c in (perovskite, shaken)]
        for name, config in (("released", GraphConfig.released()), ("recommended", RECOMMENDED))
    }
    assert largest["released"][0] == 4
    assert largest["released"][1] > 12
    assert largest["recommended"] == [4, 4]


@pytest.mark.parametrize("change", ["rotation", "supercell"])
def test_cut_shells_change_the_released_graphs(symmetric, change):
    assert changed(symmetric, GraphConfig.released(), change)
