import jax
import numpy as np
import pytest

from cgatjax.config import ModelConfig
from cgatjax.data.batching import collate
from cgatjax.errors import MismatchError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.nn.cgat import CGAT
from cgatjax.reference import (
    config_from_state_dict,
    params_from_state_dict,
    state_dict_from_params,
)

TINY = ModelConfig(
    targets=("e-form",),
    node_dim=4,
    edge_dim=3,
    heads=2,
    steps=2,
    composition_steps=1,
    composition_hidden=5,
    max_shells=3,
    head_widths=(6, 6, 5),
)
VARIANTS = [
    {},
    {"edge_update": "hyper", "steps": 3},
    {"edge_update": "none"},
    {"vector_attention": False, "pooling": "mean"},
    {"pooling_vector_attention": False, "rezero": False, "composition_steps": 0},
]


def random_params(config, seed=0):
    """Random parameters of the network, with damping outside of [0, 1], too."""
    neighbors = np.zeros((1, config.max_shells), int)
    graph = CrystalGraph.from_neighbors(np.ones(1, int), neighbors, neighbors + 1)
    shapes = jax.eval_shape(CGAT(config).init, jax.random.key(0), collate([graph]))["params"]
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), shapes)


def leaves_equal(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, dict(a), dict(b)))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_config_is_inferred_from_names_and_shapes(changes):
    config = TINY.replace(**changes)
    state_dict = state_dict_from_params(random_params(config), config)
    prefixed = {f"model.{name}": a for name, a in state_dict.items()} | {"mean": 0, "std": 1}
    assert config_from_state_dict(state_dict, "e-form") == config
    assert config_from_state_dict(prefixed, "e-form") == config


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_import_and_export_are_lossless(changes):
    config = TINY.replace(**changes)
    rng = np.random.default_rng(1)
    state_dict = {
        name: rng.random(array.shape)
        for name, array in state_dict_from_params(random_params(config), config).items()
    }
    params = params_from_state_dict(state_dict, config)
    assert bool(params.unused) == (config.edge_update == "shell")
    back = state_dict_from_params(params, config)
    assert list(back) == [*(n for n in back if n not in params.unused), *params.unused]
    assert set(back) == set(state_dict)
    assert all(np.array_equal(back[name], array) for name, array in state_dict.items())
    assert leaves_equal(params_from_state_dict(back, config), params)


def test_layouts_are_those_of_torch():
    config = TINY
    params = random_params(config)
    state_dict = state_dict_from_params(params, config)
    dense = params["heads"]["e-form"]["layer_0"]["kernel"]
    np.testing.assert_array_equal(state_dict["output_nn.fcs.0.weight"], dense.T)
    grouped = params["encoder"]["node_1"]["message"]
    # Grouped convolutions: outputs of the heads concatenated, (heads * out, in, 1).
    expected = np.concatenate([grouped["kernel_out"][head].T for head in range(2)])[:, :, None]
    np.testing.assert_array_equal(state_dict["graphs.1.Node.MH_M.fc_out.weight"], expected)
    power = params["encoder"]["composition"]["step_0"]["attention"]["power"]
    assert state_dict["roost.graphs.0.pooling.0.pow"].tolist() == [power]


def test_damping_is_projected_on_import():
    params = random_params(TINY)
    params["encoder"]["node_1"]["update"]["damping"] = np.array(1.5)
    imported = params_from_state_dict(state_dict_from_params(params, TINY), TINY)
    assert imported["encoder"]["node_1"]["update"]["damping"] == 1


def test_unused_tensors_survive_jax_and_default_to_zero():
    state_dict = state_dict_from_params(random_params(TINY), TINY)
    name = "graphs.0.Edge.MH_A.fc_in.weight"
    assert not state_dict[name].any()
    marked = state_dict | {name: np.full_like(state_dict[name], 7)}
    params = jax.tree.map(np.asarray, params_from_state_dict(marked, TINY))
    np.testing.assert_array_equal(state_dict_from_params(params, TINY)[name], marked[name])
    assert not state_dict_from_params(dict(params), TINY)[name].any()


def test_all_differences_are_listed_at_once():
    state_dict = state_dict_from_params(random_params(TINY), TINY)
    del state_dict["embedding.weight"], state_dict["roost.embedding.bias"]
    state_dict |= {"new.weight": np.zeros(2), "output_nn.fc_out.bias": np.zeros(3)}
    with pytest.raises(MismatchError) as error:
        params_from_state_dict(state_dict, TINY)
    for part in (
        "missing (2)",
        "embedding.weight (4, 200)",
        "roost.embedding.bias (3,)",
        "unexpected (1): ['new.weight (2,)']",
        "misshapen (1): ['output_nn.fc_out.bias: expected (2,), got (3,)']",
    ):
        assert part in str(error.value)


def test_differences_of_parameters_are_listed():
    params = random_params(TINY)
    del params["encoder"]["embedding"]
    with pytest.raises(MismatchError, match="encoder/embedding/kernel"):
        state_dict_from_params(params, TINY)
    with pytest.raises(MismatchError, match="output_nn"):
        state_dict_from_params(random_params(TINY), TINY.replace(head_widths=(6, 6, 4)))
    with pytest.raises(MismatchError, match="one target"):
        state_dict_from_params(random_params(TINY), TINY.replace(targets=("a", "b")))


def test_other_state_dictionaries_are_refused():
    with pytest.raises(MismatchError, match="expected a state dictionary of the reference"):
        config_from_state_dict({"conv1.weight": np.zeros((3, 3))})
