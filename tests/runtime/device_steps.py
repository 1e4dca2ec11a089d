"""Steps of the network on eight virtual devices against one; run by `test_devices.py`.

Prints a JSON object {case: largest difference}, in units of the largest value of each leaf. The
whole network takes long to compile: it has one step, and without `--all` goes through one case.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from tests.networks import SMALLEST

import cgatjax as cg
from cgatjax.config import TrainConfig
from cgatjax.data.batching import BatchBudget
from cgatjax.data.graph_list import GraphList
from cgatjax.model.losses import LOSSES
from cgatjax.runtime.devices import Devices
from cgatjax.training.input_pipeline import EmbeddingBatch
from cgatjax.training.optimizer import make_optimizer
from cgatjax.training.train_step import MaskedLoss, init_state, make_eval_step, make_train_step
from cgatjax.training.transfer_params import TRAINED, label_parameters

N_DEVICES = 8
SHARES = (9, 1, 12, 0, 5, 3, 0, 0, 2, 0, 1, 4, 1, 6, 2, 4)
"""Crystals of each micro-batch; 0 is one of padding alone."""
PAIRS = tuple(a + b for a, b in zip(SHARES[::2], SHARES[1::2], strict=True))
SCALES = {"a": (1.0, 2.0), "b": (-3.0, 0.5)}
"""Target -> (mean, std)."""
RATES = {TRAINED: np.float64(0.7)}


def crystals():
    """Graphs, and values of two properties, a third of them unknown."""
    graph_config = cg.GraphConfig.recommended()
    found = cg.ionic_crystals(sum(SHARES), seed=1)
    graphs = [cg.reduce_graph(cg.featurize(c, graph_config)) for c in found]
    rng = np.random.default_rng(0)
    values = {t: rng.normal(size=len(graphs)) for t in ("a", "b")}
    values = {t: np.where(rng.random(len(graphs)) < 0.3, np.nan, v) for t, v in values.items()}
    return GraphList(graphs, graph_config), values


def masked(batch):
    """The batch with no value known and every float of it odd, as if all were padding."""
    blank = {t: np.zeros_like(m) for t, m in batch.target_mask.items()}
    odd = {t: np.full_like(v, 1e3) for t, v in batch.targets.items()}
    return type(batch)(**{**batch.__dict__, "target_mask": blank, "targets": odd})


def stack_of(make, shares):
    """Micro-batches of the given numbers of crystals, stacked; `make` takes positions."""
    ends = np.cumsum(shares)
    blocks = [np.arange(end - n, end) for n, end in zip(shares, ends, strict=True)]
    batches = [make(b) if len(b) else masked(make(np.arange(1))) for b in blocks]
    return jax.tree.map(lambda *x: np.stack(x), *batches)


def largest_difference(found, expected):
    """Over all leaves, in units of the leaf's largest value."""

    def difference(a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)) if a.size else 0.0

    return max(jax.tree.leaves(jax.tree.map(difference, found, expected)))


def outcome(devices, sums, optimizer, labels, params, stack, spoiled):
    """State and metrics after two steps, a spoiled one between them; and validation sums."""
    step = make_train_step(sums, optimizer, labels, devices)
    state = devices.replicate(init_state(jax.tree.map(jnp.array, params), optimizer))
    placed = devices.place(stack)
    state, _ = step(state, placed, RATES, SCALES)
    state, _ = step(state, devices.place(spoiled), RATES, SCALES)
    state, metrics = step(state, placed, RATES, SCALES)
    assert (int(state.step), int(state.skipped)) == (2, 1)
    evaluated = make_eval_step(sums, devices)(state.params, placed, SCALES)
    return jax.tree.map(np.asarray, (state, metrics, evaluated))


def spoil(stack):
    """The stack with one infinite target, which the mask calls known, on the last device."""
    targets = {t: v.copy() for t, v in stack.targets.items()}
    mask = {t: m.copy() for t, m in stack.target_mask.items()}
    targets["a"][-1, 0], mask["a"][-1, 0] = np.inf, True
    return type(stack)(**{**stack.__dict__, "targets": targets, "target_mask": mask})


def compare(name, sums, labels, params, whole, stacks, cases):
    """{case: largest difference} of each mapping and stack to one device on the whole batch."""
    optimizer = make_optimizer(TrainConfig(learning_rate=0.01, clip_norm=1.0), labels)
    one = Devices.choose(1)
    expected = outcome(one, sums, optimizer, labels, params, whole, spoil(whole))
    found = {}
    for mapping, accumulated in cases:
        stack, devices = stacks[accumulated], Devices.choose(N_DEVICES, mapping)
        case = outcome(devices, sums, optimizer, labels, params, stack, spoil(stack))
        found[f"{name}, {mapping}, accumulate {accumulated}"] = largest_difference(case, expected)
    return found


def full_cases(cases):
    """The whole network, all parameters trained."""
    data, values = crystals()
    config = cg.ModelConfig.small(**SMALLEST)
    model = cg.init_model(config, data, target=("a", "b"), seed=0)
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), model.params)
    sums = MaskedLoss(model.network.apply, LOSSES["robust_l1"])
    labels = label_parameters(params, [("*", TRAINED)])
    largest = np.sort(data.sizes, axis=0)[::-1]

    def making(n):
        """Batches with room for n crystals of whatever size."""
        budget = BatchBudget(n + 1, *(int(v) + 2 for v in largest[:n].sum(0)))
        return lambda rows: cg.collate(
            [data.graphs[i] for i in rows], {t: v[rows] for t, v in values.items()}, budget
        )

    stacks = {1: stack_of(making(12), PAIRS), 2: stack_of(making(12), SHARES)}
    whole = stack_of(making(len(data)), [len(data)])
    return compare("full", sums, labels, params, whole, stacks, cases)


def head_cases(cases):
    """The heads alone, on embeddings, as they are trained when the encoder is frozen."""
    rng = np.random.default_rng(0)
    n, width = sum(SHARES), 5
    embeddings = rng.normal(size=(n, width))
    values = {t: rng.normal(size=n) for t in ("a", "b")}
    known = {t: rng.random(n) < 0.7 for t in ("a", "b")}
    params = {
        "encoder": {"kernel": rng.normal(size=3)},
        "heads": {t: {"kernel": rng.normal(size=(width, 2))} for t in ("a", "b")},
    }
    labels = label_parameters(params, [("encoder/*", "frozen"), ("*", TRAINED)])

    def forward(params, batch):
        return {t: batch.embedding @ p["kernel"] for t, p in params["heads"].items()}

    def making(size):
        def make(rows):
            real = np.arange(size) < len(rows)
            rows = np.resize(rows, size)
            return EmbeddingBatch(
                embedding=embeddings[rows],
                targets={t: v[rows] for t, v in values.items()},
                target_mask={t: m[rows] & real for t, m in known.items()},
                graph_mask=real,
            )

        return make

    sums = MaskedLoss(forward, LOSSES["l2"])
    stacks = {1: stack_of(making(12), PAIRS), 2: stack_of(making(12), SHARES)}
    whole = stack_of(making(n), [n])
    return compare("head", sums, labels, params, whole, stacks, cases)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    every = [(mapping, accumulated) for mapping in ("shard_map", "pmap") for accumulated in (1, 2)]
    chosen = every if "--all" in sys.argv else [("shard_map", 2)]
    print(json.dumps({**head_cases(every), **full_cases(chosen)}))
