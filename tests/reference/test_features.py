import gzip
import pickle

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.data.store import open_store
from cgatjax.errors import InputError, RunExistsError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.reference import read_features, store_features
from cgatjax.structures.elements import SYMBOLS, reduced_formula
from cgatjax.structures.readers import read_crystals


def objects(items):
    """Vector of objects, like the nested arrays of the reference."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def written(graphs, targets, ids=None):
    """Content that `prepare_data.py` writes for graphs, with targets as stored."""
    table = np.empty((3, len(graphs)), dtype=object)
    for i, graph in enumerate(graphs):
        center = np.repeat(np.arange(graph.n_sites), graph.max_neighbors)
        for row, values in enumerate([graph.shells, center, graph.neighbors]):
            shape = (graph.n_sites, graph.max_neighbors, 1)
            table[row, i] = np.asarray(values, dtype=object).reshape(shape)
    symbols = [[[SYMBOLS[z]] for z in g.atomic_numbers.tolist()] for g in graphs]
    return {
        "input": table,
        "batch_ids": [(name,) for name in ids or [f"id-{i}" for i in range(len(graphs))]],
        "batch_comp": np.array([[reduced_formula(g.atomic_numbers)] for g in graphs], object),
        "target": {n: np.array([[v] for v in values], object) for n, values in targets.items()},
        "comps": objects([np.array(s, dtype=object) for s in symbols]),
    }


def small_graphs():
    """A graph of two sites, and one of a single site."""
    pair = CrystalGraph.from_neighbors(
        np.array([11, 17]), np.array([[1, 1, 0], [0, 0, 1]]), np.array([[1, 1, 2], [1, 1, 2]])
    )
    lone = CrystalGraph.from_neighbors(np.array([84]), np.array([[0, 0, 0]]), np.array([[1, 1, 1]]))
    return [pair, lone]


def saved(path, content, protocol=4):
    with gzip.open(path, "wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


TARGETS = {"e-form": [-0.5, 0.25], "volume": [3.0, -1e8]}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("layout", ["(3, crystals)", "(crystals, 3)", "formula"])
def test_graphs_targets_and_ids_are_read(tmp_path, protocol, layout):
    content = written([*small_graphs(), small_graphs()[0], small_graphs()[0]], {})
    content["target"] = {n: [v[0], v[1], v[0], v[0]] for n, v in TARGETS.items()}
    if layout == "(crystals, 3)":
        content["input"] = content["input"].T
    if layout == "formula":
        content["comps"] = ["old"] * 4
        content["batch_comp"] = [("Na1 Cl1",), ("Po1",), ("Na1 Cl1",), ("Na1 Cl1",)]
    found = read_features(saved(tmp_path / "f.pickle.gz", content, protocol))
    assert found.ids == ["id-0", "id-1", "id-2", "id-3"]
    for graph, expected in zip(found.graphs, small_graphs(), strict=False):
        for name in ("atomic_numbers", "neighbors", "shells"):
            np.testing.assert_array_equal(getattr(graph, name), getattr(expected, name))
    # Stored divided by the number of sites; -1e8 for missing values.
    np.testing.assert_allclose(found.targets["e-form"], [-1.0, 0.25, -1.0, -1.0])
    np.testing.assert_allclose(found.targets["volume"], [6.0, np.nan, 6.0, 6.0])


def test_unknown_ids_are_replaced_by_positions(tmp_path):
    content = written(small_graphs(), TARGETS, ids=["unknown", "unknown"])
    assert read_features(saved(tmp_path / "f.pickle.gz", content)).ids == ["crystal-0", "crystal-1"]


def test_neighbors_are_limited(tmp_path):
    path = saved(tmp_path / "f.pickle.gz", written(small_graphs(), TARGETS))
    graph = read_features(path, max_neighbors=2).graphs[0]
    assert graph.max_neighbors == 2
    np.testing.assert_array_equal(graph.neighbors, [[1, 1], [0, 0]])


def test_features_become_a_store(tmp_path):
    path = saved(tmp_path / "f.pickle.gz", written(small_graphs(), TARGETS))
    store = store_features(path, tmp_path / "store", max_neighbors=2)
    again = open_store(tmp_path / "store")
    assert again.ids == ["id-0", "id-1"]
    assert again.graph_config == GraphConfig.released(max_neighbors=2)
    assert again.unit("volume") == "A^3/atom"
    np.testing.assert_allclose(again.all().target("volume"), [6.0, np.nan])
    assert store.digest == again.digest
    with pytest.raises(RunExistsError):
        store_features(path, tmp_path / "store")


def test_repeated_ids_are_refused(tmp_path):
    content = written(small_graphs(), TARGETS, ids=["a", "a"])
    with pytest.raises(InputError, match="repeated id 'a'"):
        store_features(saved(tmp_path / "f.pickle.gz", content), tmp_path / "store")
    assert not (tmp_path / "store").exists()


class Touch:
    """Object whose pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_pickles_that_run_code_are_refused(tmp_path):
    mark = tmp_path / "mark"
    content = {**written(small_graphs(), TARGETS), "extra": Touch(mark)}
    path = saved(tmp_path / "f.pickle.gz", content)
    with pytest.raises(InputError, match=r"asks for builtins\.exec"):
        read_features(path)
    assert not mark.exists()
    with gzip.open(path, "rb") as file:
        pickle.load(file)
    assert mark.exists()  # the pickle does run code if allowed to


@pytest.mark.parametrize("module", ["os", "numpy.testing", "numpy"])
def test_other_names_are_refused(tmp_path, module):
    name = {"os": "system", "numpy.testing": "run_module_suite", "numpy": "load"}[module]
    content = f"c{module}\n{name}\n.".encode()
    (tmp_path / "f.pickle").write_bytes(content)
    with pytest.raises(InputError, match=f"asks for {module}.{name}"):
        read_features(tmp_path / "f.pickle")


def damaged(key, value):
    return lambda content: {**content, key: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: [content], "expected a dictionary, got list"),
        (lambda content: {}, "'input'"),
        (damaged("input", np.zeros((2, 2))), "not \\(3, crystals\\)"),
        (damaged("target", {"e-form": [1.0]}), "has 1 values for 2 crystals"),
        (damaged("comps", [[["Xx"], ["Cl"]], [["Po"]]]), "Xx"),
        (damaged("batch_ids", ["only one"]), "index"),
    ],
)
def test_other_contents_are_refused(tmp_path, change, message):
    path = saved(tmp_path / "f.pickle.gz", change(written(small_graphs(), TARGETS)))
    with pytest.raises(InputError, match=message):
        read_features(path)


def test_edges_out_of_order_are_refused(tmp_path):
    content = written(small_graphs(), TARGETS)
    content["input"][1, 0] = 1 - content["input"][1, 0]
    with pytest.raises(InputError, match="centers of its edges"):
        read_features(saved(tmp_path / "f.pickle.gz", content))


@pytest.mark.parametrize("cut", [0, 1, 30, -20])
def test_truncated_files_are_refused(tmp_path, cut):
    path = saved(tmp_path / "f.pickle.gz", written(small_graphs(), TARGETS))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot be read as a feature file"):
        read_features(path)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_features(tmp_path / "none.pickle.gz")


@pytest.fixture(scope="module")
def golden_features(shared):
    return read_features(shared / "reference" / "features.pickle.gz")


@pytest.fixture(scope="module")
def golden_crystals(shared):
    return list(read_crystals([shared / "reference" / "entries.json.gz"]))


def test_released_graphs_are_those_of_the_reference(golden_features, golden_crystals):
    """All 480: shells, neighbors in each, and which atoms stay where K cuts a shell."""
    assert golden_features.ids == [crystal.id for crystal in golden_crystals]
    different_shells = different_neighbors = 0
    for crystal, expected in zip(golden_crystals, golden_features.graphs, strict=True):
        graph = featurize(crystal, GraphConfig.released())
        np.testing.assert_array_equal(graph.atomic_numbers, expected.atomic_numbers)
        different_shells += not np.array_equal(graph.shells, expected.shells)
        ours = np.sort(graph.shells.astype(int) * 65536 + graph.neighbors, axis=1)
        theirs = np.sort(expected.shells.astype(int) * 65536 + expected.neighbors, axis=1)
        different_neighbors += not np.array_equal(ours, theirs)
    assert (different_shells, different_neighbors) == (0, 0)


def test_released_targets_are_those_of_the_entries(golden_features, golden_crystals):
    for name, values in golden_features.targets.items():
        expected = [crystal.targets[name] for crystal in golden_crystals]
        np.testing.assert_allclose(values, expected, rtol=1e-14)
