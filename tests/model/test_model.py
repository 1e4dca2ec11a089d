"""The model on batches: what must not matter does not, and what is reduced predicts the same."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crystals import sound

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.batching import BatchBudget, CrystalBatch, collate
from cgatjax.errors import ConfigError, MismatchError, TargetError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.model.model import Model, init_model
from cgatjax.model.network import Network
from cgatjax.nn.cgat import CGAT
from cgatjax.structures.elements import ElementTable
from cgatjax.synthetic.dataset import ionic_crystals

SHARE = GraphConfig.recommended()
BUDGET = BatchBudget(8, 96, 2432, 40, 128)
SIZES = {
    "node_dim": 6,
    "edge_dim": 5,
    "heads": 2,
    "steps": 2,
    "composition_steps": 1,
    "composition_hidden": 5,
    "head_widths": (5,),
}
VARIANTS = {
    "released": {},
    "to the center": {"message_direction": "neighbor_to_center"},
    "attention, to the center": {
        "edge_update": "attention",
        "message_direction": "neighbor_to_center",
        "pooling": "mean",
        "vector_attention": False,
    },
}


@functools.cache
def compiled(variant: str, **options):
    """(params, outputs of a batch, gradient of a loss) in float64, every weight random."""
    net = CGAT(ModelConfig.released(**{**SIZES, **VARIANTS[variant], **options}))
    shapes = jax.eval_shape(net.init, jax.random.key(0), collate(graphs_of(0, "prototypes")[:1]))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda s: rng.uniform(-0.6, 0.6, s.shape), shapes["params"])

    def forward(params, batch):
        return net.apply({"params": params}, batch)

    def loss(params, batch, factors):
        return (forward(params, batch) * factors).sum()

    return params, jax.jit(forward), jax.jit(jax.grad(loss))


def graphs_of(seed: int, kind: str) -> list[CrystalGraph]:
    """A few unreduced graphs with at most 90 sites and 2300 edges."""
    if kind == "random":
        return [ring(seed + i) for i in range(7)]
    crystals = (c for c in ionic_crystals(40, seed=seed) if c.n_sites <= 12)
    graphs = [featurize(c, SHARE) for c, _ in zip(crystals, range(6), strict=False)]
    while sum(g.n_edges for g in graphs) > 2300:
        graphs.pop()
    return graphs


def ring(seed: int) -> CrystalGraph:
    """Few elements and steps on a ring, so that some sites are alike; sometimes one is odd."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 12)), int(rng.integers(1, 7))
    neighbors = (np.arange(n)[:, None] + rng.integers(0, n, k)) % n
    if rng.random() < 0.5:
        neighbors[rng.integers(0, n)] = rng.integers(0, n, k)
    numbers = rng.choice([[8], [3, 8], [11, 17, 20]][rng.integers(3)], n // 2 + 1)[
        np.arange(n) // 2
    ]
    return CrystalGraph.from_neighbors(
        numbers, neighbors, np.tile(np.sort(rng.integers(1, k + 1, k)), (n, 1))
    )


def close(a, b) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["random", "prototypes"])
@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_reduced_graphs_predict_and_learn_the_same(variant, kind, seed):
    with jax.enable_x64(True):
        params, forward, gradient = compiled(variant)
        graphs = graphs_of(seed, kind)
        whole = collate(graphs, budget=BUDGET)
        small = collate([reduce_graph(g) for g in graphs], budget=BUDGET)
        n = len(graphs)
        close(forward(params, small)[:n], forward(params, whole)[:n])
        factors = np.zeros((BUDGET.graphs, 2))
        factors[:n] = np.random.default_rng(seed).normal(size=(n, 2))
        jax.tree.map(close, gradient(params, small, factors), gradient(params, whole, factors))


def test_graphs_are_indeed_reduced():
    graphs = graphs_of(0, "prototypes")
    reduced = [reduce_graph(g) for g in graphs]
    assert sum(g.n_edges for g in reduced) < sum(g.n_edges for g in graphs) / 4
    assert any((g.weight_denominator > 1).any() for g in graphs)


def poisoned(batch: CrystalBatch, n: int) -> CrystalBatch:
    """The batch of n crystals with NaN for every number of its padding."""

    def spoil(values, counts):
        values = values.copy()
        values[counts[:n].sum() :] = np.nan
        return values

    crystal, composition = batch.crystal, batch.composition
    nodes = {**crystal.nodes, "weight": spoil(crystal.nodes["weight"], crystal.n_node)}
    edges = {**crystal.edges, "weight": spoil(crystal.edges["weight"], crystal.n_edge)}
    fraction = spoil(composition.nodes["fraction"], composition.n_node)
    return dataclasses.replace(
        batch,
        crystal=crystal._replace(nodes=nodes, edges=edges),
        composition=composition._replace(nodes={**composition.nodes, "fraction": fraction}),
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_nan_in_the_padding_reaches_neither_predictions_nor_gradients(variant):
    with jax.enable_x64(True):
        params, forward, gradient = compiled(variant)
        graphs = graphs_of(7, "prototypes")
        n, clean = len(graphs), collate(graphs, budget=BUDGET)
        spoilt = poisoned(clean, n)
        assert np.isnan(spoilt.crystal.edges["weight"]).any()
        np.testing.assert_array_equal(forward(params, spoilt)[:n], forward(params, clean)[:n])
        factors = np.zeros((BUDGET.graphs, 2))
        factors[:n] = 1.0, -0.5
        jax.tree.map(
            np.testing.assert_array_equal,
            gradient(params, spoilt, factors),
            gradient(params, clean, factors),
        )


def test_start_states_by_element_and_steps_computed_again_learn_the_same():
    variant = "attention, to the center"
    # More than 104 nodes: the first step then works on one row for each element.
    wide = BatchBudget(8, 160, 2432, 40, 128)
    with jax.enable_x64(True):
        params, _, gradient = compiled(variant)
        graphs = graphs_of(3, "prototypes")
        factors = np.zeros((BUDGET.graphs, 2))
        factors[: len(graphs)] = 0.5, -1.0
        per_node = gradient(params, collate(graphs, budget=BUDGET), factors)
        per_element = gradient(params, collate(graphs, budget=wide), factors)
        jax.tree.map(close, per_element, per_node)
        again = compiled(variant, rematerialize=True)[2]
        jax.tree.map(close, again(params, collate(graphs, budget=wide), factors), per_node)


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_changes_nothing(variant):
    larger = BatchBudget(14, 300, 4000, 61, 200)
    with jax.enable_x64(True):
        params, forward, _ = compiled(variant)
        graphs = graphs_of(5, "prototypes")
        snug = forward(params, collate(graphs, budget=BUDGET))
        wide = forward(params, collate(graphs, budget=larger))
        close(snug[: len(graphs)], wide[: len(graphs)])
        assert np.isfinite(wide).all()
        alone = [forward(params, collate([g], budget=BUDGET))[0] for g in graphs]
        close(snug[: len(graphs)], alone)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_another_order_of_crystals_is_the_same_order_of_predictions(variant, seed):
    with jax.enable_x64(True):
        params, forward, _ = compiled(variant)
        graphs = graphs_of(seed, "random")
        order = np.random.default_rng(seed).permutation(len(graphs))
        direct = forward(params, collate(graphs, budget=BUDGET))
        permuted = forward(params, collate([graphs[i] for i in order], budget=BUDGET))
        close(permuted[: len(graphs)], direct[order])


def renumbered(graph: CrystalGraph, order: np.ndarray) -> CrystalGraph:
    """The same unreduced graph with site order[i] in place i, its edges shuffled on the way."""
    place = np.argsort(order)
    center = place[graph.edge_center]
    edges = np.lexsort((np.random.default_rng(0).random(len(center)), center))
    return sound(
        CrystalGraph(
            atomic_numbers=graph.atomic_numbers[order],
            node_multiplicity=graph.node_multiplicity[order],
            site_class=np.arange(graph.n_sites, dtype=np.uint16),
            edge_center=center[edges].astype(np.uint16),
            edge_neighbor=place[graph.edge_neighbor][edges].astype(np.uint16),
            edge_shell=graph.edge_shell[edges],
            weight_numerator=graph.weight_numerator[edges],
            weight_denominator=graph.weight_denominator[edges],
            max_neighbors=graph.max_neighbors,
        )
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_sites_and_edges_does_not_matter(variant):
    with jax.enable_x64(True):
        params, forward, _ = compiled(variant)
        graphs = graphs_of(11, "prototypes")
        rng = np.random.default_rng(2)
        other = [renumbered(g, rng.permutation(g.n_sites)) for g in graphs]
        n = len(graphs)
        direct = forward(params, collate(graphs, budget=BUDGET))[:n]
        close(forward(params, collate(other, budget=BUDGET))[:n], direct)
        reduced = collate([reduce_graph(g) for g in other], budget=BUDGET)
        close(forward(params, reduced)[:n], direct)


def test_a_model_takes_sizes_and_units_from_the_data(ionic_store):
    config = ModelConfig.small(**SIZES, max_shells=7, element_dim=3)
    model = init_model(config, ionic_store, target=["e-form@high", "volume@low"])
    assert model.targets == ("e-form@high", "volume@low")
    assert model.config.max_shells == ionic_store.graph_config.max_neighbors
    assert model.element_table == ElementTable.named("both")
    assert model.config.element_dim == 317
    assert model.units == {"e-form@high": "eV/atom", "volume@low": "A^3/atom"}
    assert model.n_params == sum(x.size for x in jax.tree.leaves(model.params))
    assert set(model.params) == {"encoder", "heads"}
    assert set(model.params["heads"]) == set(model.targets)


def test_weights_depend_on_the_seed_alone(fresh_model, ionic_store):
    def has_the_weights_of_seed(seed):
        model = init_model(fresh_model.config, ionic_store, target="e-form@low", seed=seed)
        equal = jax.tree.map(np.array_equal, model.params, fresh_model.params)
        return all(jax.tree.leaves(equal))

    assert has_the_weights_of_seed(0)
    assert not has_the_weights_of_seed(1)


def test_a_target_that_does_not_exist_is_an_error_that_lists_those_that_do(ionic_store):
    with pytest.raises(TargetError, match=r"'gap'.*'e-form@low'"):
        init_model(ModelConfig.small(**SIZES), ionic_store, target="gap")


def test_no_data_is_an_error(ionic_store):
    with pytest.raises(TargetError, match="at least one crystal"):
        init_model(
            ModelConfig.small(), ionic_store.all().select(np.array([], int)), target="e-form@low"
        )


def test_graphs_of_another_kind_are_refused_with_every_difference():
    model = Model(config=ModelConfig(), params=None, graph_config=GraphConfig.released())
    model.check_options(GraphConfig(), "here")
    message = (
        r"the store: graphs made with other options than the model's \(shell_tolerance: "
        r"model 1e-08, data 0.0003, tolerance_kind: model 'absolute', data 'relative', "
        r"split_shell: model 'cut', data 'share'\); featurize again"
    )
    with pytest.raises(MismatchError, match=message):
        model.check_options(SHARE, "the store")


def test_another_element_table_goes_into_the_network(ionic_store):
    table = ElementTable.from_vectors(
        "numbers", {s: [float(i), 1.0] for i, s in enumerate(["Na", "Cl", "O", "K"])}
    )
    config = ModelConfig.small(**SIZES)
    model = init_model(config, ionic_store, target="e-form@low", element_table=table)
    assert (model.config.elements, model.config.element_dim) == ("own", 2)
    with pytest.raises(ConfigError, match='"own" needs a table'):
        init_model(model.config, ionic_store, target="e-form@low")
    assert model.params["encoder"]["embedding"]["kernel"].shape[0] == 2


def is_program(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def products(jaxpr):
    """All matrix products of a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=is_program):
            if is_program(value):
                yield from products(getattr(value, "jaxpr", value))


def multiplications(jaxpr, dtypes):
    """Multiplications of matrix products whose factors both have one of the given dtypes."""
    total = 0
    for equation in products(jaxpr):
        left, right = (v.aval for v in equation.invars)
        (contracted, _), (batched, _) = equation.params["dimension_numbers"]
        if left.dtype in dtypes and right.dtype in dtypes:
            shared = np.prod([left.shape[i] for i in (*contracted, *batched)], dtype=int)
            total += left.size * right.size // shared
    return total


def gradient_program(network):
    """Program of the gradient of a network, traced and not run."""
    batch, params = collate(graphs_of(3, "prototypes"), budget=BUDGET), network.param_shapes()

    def loss(params):
        return sum(output.sum() for output in network.apply(params, batch).values())

    return jax.make_jaxpr(jax.grad(loss))(params).jaxpr


@pytest.mark.parametrize("preset", [ModelConfig.released, ModelConfig.paper])
def test_bfloat16_products_have_bfloat16_factors_in_the_gradient_too(preset):
    """All but the composition network's: counted in the program, not run."""
    network = Network(preset(precision="bfloat16"))
    jaxpr = gradient_program(network)
    both = multiplications(jaxpr, {jnp.dtype("bfloat16")})
    either = multiplications(jaxpr, {jnp.dtype("bfloat16"), jnp.dtype("float32")})
    assert both > 0.98 * either


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("float32", jax.lax.Precision.HIGHEST),
        ("tf32", jax.lax.Precision.HIGH),
        ("bfloat16", jax.lax.Precision.HIGH),
    ],
)
@pytest.mark.parametrize("variant", [{}, {"edge_update": "hyper", "rematerialize": True}])
def test_the_precision_holds_for_every_product_whatever_jax_is_set_to(precision, expected, variant):
    """The backward passes of the hypernetworks, which are traced on their own, too."""
    network = Network(ModelConfig.small(precision=precision, **variant))
    with jax.default_matmul_precision("bfloat16"):
        found = list(products(gradient_program(network)))
    of_float32 = [p for p in found if p.invars[0].aval.dtype == jnp.float32]
    assert len(of_float32) > 20
    assert {p.params["precision"] for p in of_float32} == {(expected, expected)}
    assert (len(found) > len(of_float32)) == (precision == "bfloat16")


def test_precision_holds_for_embeddings_attention_and_heads():
    network = Network(ModelConfig.small())
    batch, params = collate(graphs_of(3, "prototypes"), budget=BUDGET), network.param_shapes()
    embedding = jax.ShapeDtypeStruct((3, network.config.embedding_dim), jnp.float32)
    for method, argument in (("embed", batch), ("attention", batch), ("read_heads", embedding)):
        jaxpr = jax.make_jaxpr(network.jitted(method))(params, argument).jaxpr
        found = {p.params["precision"] for p in products(jaxpr)}
        assert found == {(jax.lax.Precision.HIGHEST,) * 2}
