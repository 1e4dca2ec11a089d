"""Every variant of the network against its equations written as slow NumPy loops.

Nothing here is shared with the library: plain loops over crystals, edges, heads and channels, on
graphs with one node per site, no padding, no merged edges, no factorized layer, no shell table.
"""

import itertools

import jax
import numpy as np
import pytest

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.batching import BatchBudget, collate
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.nn.cgat import CGAT
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS, ElementTable

K = 7
TABLE = ElementTable(
    name="noise",
    vectors=np.concatenate([np.zeros((1, 5)), np.random.default_rng(3).normal(size=(103, 5))]),
    known=np.arange(len(SYMBOLS)) > 0,
)
SMALL = ModelConfig(
    node_dim=4,
    edge_dim=3,
    heads=2,
    steps=2,
    composition_steps=2,
    composition_hidden=6,
    element_dim=5,
    max_shells=K,
    head_widths=(6, 6, 5),
)
VARIANTS = [
    {"edge_update": edge, "message_direction": direction}
    for edge, direction in itertools.product(
        ["shell", "attention", "hyper", "none"], ["center_to_neighbor", "neighbor_to_center"]
    )
] + [
    {"pooling": "mean", "rezero": False},
    {"vector_attention": False, "pooling_vector_attention": False},
    {"vector_attention": False, "edge_update": "attention"},
    {"heads": 1, "steps": 1, "composition_steps": 0},
]


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def dense(p, x):
    return x @ p["kernel"] + p.get("bias", 0)


def multi_head(p, x, head):
    """One head on one row."""
    width = p["kernel_out"].shape[1]
    mine = slice(head * width, (head + 1) * width)
    hidden = leaky(x @ p["kernel_in"][:, mine] + p["bias_in"][mine])
    return hidden @ p["kernel_out"][head] + p["bias_out"][head]


def two_layer(p, x):
    return dense(p["out"], leaky(x @ p["kernel_in"] + p["bias_in"]))


def attend(scores, messages, weights):
    """sum of w exp(s) m / sum of w exp(s), channel by channel; scores may have one channel."""
    total = np.zeros_like(messages[0])
    for channel in range(len(total)):
        gates = [
            w * np.exp(s[channel if len(s) > 1 else 0])
            for s, w in zip(scores, weights, strict=True)
        ]
        parts = [g * m[channel] for g, m in zip(gates, messages, strict=True)]
        total[channel] = sum(parts) / sum(gates)
    return total


def hyper(p, x, z):
    d = len(x)
    for i in range(4):
        layer, t = p[f"layer_{i}"], z
        for j in range(4):
            t = np.tanh(t @ layer[f"kernel_{j}"] + layer[f"bias_{j}"])
        produced = np.tensordot(t, layer["kernel_out"], 1) + layer["bias_out"]
        x = x @ produced[:d] + produced[d]
        if i < 3:
            x = np.tanh((x - x.mean()) / np.sqrt(x.var() + 1e-5))
    return x


def damped(p, x, state, start):
    z = p["damping"] * start + (1 - p["damping"]) * x if "damping" in p else state
    return hyper(p["hyper"], x, z)


def composition_vector(p, graph, steps):
    numbers = sorted(set(graph.atomic_numbers.tolist()))
    fractions = [np.mean(graph.atomic_numbers == n) for n in numbers]
    h = [
        np.append(dense(p["embedding"], TABLE.vectors[n].astype(float)), f)
        for n, f in zip(numbers, fractions, strict=True)
    ]

    def pooled(gate, power, rows, values, owners):
        if not rows:
            return np.zeros_like(h[0])
        scores = [two_layer(gate, row)[0] for row in rows]
        gates = [
            fractions[o] ** power * np.exp(s - max(scores))
            for s, o in zip(scores, owners, strict=True)
        ]
        return sum(g * v for g, v in zip(gates, values, strict=True)) / (sum(gates) + 1e-13)

    for i in range(steps):
        step, new = p[f"step_{i}"], []
        for a in range(len(h)):
            others = [b for b in range(len(h)) if b != a]
            rows = [np.append(h[a], h[b]) for b in others]
            values = [two_layer(step["message"], row) for row in rows]
            attention = step["attention"]
            new.append(h[a] + pooled(attention["gate"], attention["power"], rows, values, others))
        h = new
    return pooled(p["pooling"]["gate"], p["pooling"]["power"], h, h, range(len(h)))


def node_updates(p, config, graph, h, h0, e):
    """What one step adds to the node states."""
    updates = []
    to_neighbor = config.message_direction == "center_to_neighbor"
    receivers = graph.edge_neighbor if to_neighbor else graph.edge_center
    senders = graph.edge_center if to_neighbor else graph.edge_neighbor
    for node in range(len(h)):
        arriving = np.flatnonzero(receivers == node)
        mixed = np.zeros_like(h[node])
        for head in range(config.heads) if len(arriving) else []:
            rows = [np.concatenate([h[node], e[k], h[senders[k]]]) for k in arriving]
            scores = [multi_head(p["attention"], row, head) for row in rows]
            messages = [multi_head(p["message"], row, head) for row in rows]
            weights = graph.edge_weight[arriving]
            mixed += attend(scores, messages, weights) / config.heads
        updates.append(damped(p["update"], mixed, h[node], h0[node]))
    return updates


def edge_updates(p, config, graph, h, e, e0):
    """What one step adds to the edge states."""
    updates = []
    for k, (i, j) in enumerate(zip(graph.edge_center, graph.edge_neighbor, strict=True)):
        if config.edge_update == "none":
            updates.append(0 * e[k])
            continue
        x = e[k]
        if config.edge_update != "shell":
            row = np.concatenate([h[i], e[k], h[j]])
            scores = [multi_head(p["attention"], row, head) for head in range(config.heads)]
            messages = [multi_head(p["message"], row, head) for head in range(config.heads)]
            x = attend(scores, messages, np.ones(config.heads))  # over the heads, not the edges
        if config.edge_update == "hyper":
            updates.append(damped(p["update"], x / config.heads, e[k], e0[k]))
        else:
            updates.append(dense(p["dense_1"], leaky(dense(p["dense_0"], x))))
    return updates


def crystal_vector(params, config, graph):
    p = params["encoder"]
    h = h0 = [dense(p["embedding"], TABLE.vectors[z].astype(float)) for z in graph.atomic_numbers]
    e = e0 = [p["shell_embedding"][shell] for shell in graph.edge_shell]
    for i in range(config.steps):
        new_h = node_updates(p[f"node_{i}"], config, graph, h, h0, e)
        new_e = edge_updates(p.get(f"edge_{i}"), config, graph, h, e, e0)
        h = [a + b for a, b in zip(h, new_h, strict=True)]
        e = [a + b for a, b in zip(e, new_e, strict=True)]
    c = composition_vector(p["composition"], graph, config.composition_steps)
    heads = []
    for head in range(config.heads):
        scores = [multi_head(p["pooling"]["attention"], np.append(x, c), head) for x in h]
        messages = [multi_head(p["pooling"]["message"], x, head) for x in h]
        heads.append(attend(scores, messages, np.ones(len(h))))
    return np.concatenate(heads) if config.pooling == "concat" else sum(heads) / len(heads)


def regression(p, config, x):
    for i, width in enumerate(config.head_widths):
        y = np.maximum(dense(p[f"layer_{i}"], x), 0) * p.get(f"alpha_{i}", 1)
        x = y + (x if len(x) == width else dense(p[f"skip_{i}"], x))
    return dense(p["out"], x)


def random_params(config, graphs, seed=0):
    """Weights of moderate size everywhere, so that every term shows."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(CGAT(config, TABLE).init, jax.random.key(0), collate(graphs))["params"]

    def drawn(path, leaf):
        r = rng.normal(size=leaf.shape)
        if path[-1].key == "damping":
            return np.abs(r) / 4
        return r / np.sqrt(max(leaf.shape[0], 1)) if len(leaf.shape) > 1 else 0.5 * r

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def crystals():
    """A single site, a symmetric compound, and one without symmetry of three elements."""
    rng = np.random.default_rng(1)
    corner, middle = [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]
    cells = {
        "simple cubic": ([84], 3.3 * np.eye(3), [corner]),
        "perovskite": (
            [38, 22, 8, 8, 8],
            3.9 * np.eye(3),
            [corner, middle, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        ),
        "no symmetry": ([3, 26, 26, 8], np.diag([3.1, 3.6, 4.3]) + 0.2, rng.random((4, 3))),
    }
    return [
        Crystal(
            id=name,
            lattice=np.array(lattice),
            frac_coords=np.array(places),
            atomic_numbers=np.array(numbers, np.uint8),
        )
        for name, (numbers, lattice, places) in cells.items()
    ]


def graphs_of(split_shell):
    options = {"split_shell": split_shell, "tolerance_kind": "relative", "shell_tolerance": 1e-5}
    config = GraphConfig(max_neighbors=K, **options)
    return [featurize(crystal, config) for crystal in crystals()]


ROOM = BatchBudget(4, 16, 128, 8, 16)
"""For the crystals whole and reduced, so that both go through one compiled program."""


def compiled(config):
    """Embeddings and outputs of the library's network, of parameters and graphs, in float64."""
    net = CGAT(config, TABLE)

    @jax.jit
    def both(params, batch):
        embedding = net.apply({"params": params}, batch, method="embed")
        return embedding, net.apply({"params": params}, embedding, method="read_heads")["target"]

    def run(params, graphs):
        with jax.enable_x64(True):
            found = both(params, collate(graphs, budget=ROOM))
        return [np.asarray(x)[: len(graphs)] for x in found]

    return run


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_network_equals_its_equations(changes):
    """On whole and on reduced graphs, whose last shell is shared or cut."""
    config = SMALL.replace(**changes)
    params = random_params(config, graphs_of("share"))
    network = compiled(config)
    for split_shell in ("share", "cut"):
        whole = graphs_of(split_shell)
        reduced = [reduce_graph(graph) for graph in whole]
        assert sum(g.n_edges for g in reduced) < sum(g.n_edges for g in whole)
        expected = np.array([crystal_vector(params, config, graph) for graph in whole])
        outputs = [regression(params["heads"]["target"], config, x) for x in expected]
        for graphs in (whole, reduced):
            embedding, out = network(params, graphs)
            np.testing.assert_allclose(embedding, expected, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(out, outputs, rtol=1e-10, atol=1e-12)
