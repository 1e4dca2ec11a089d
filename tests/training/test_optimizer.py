import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.config import TrainConfig
from cgatjax.training.optimizer import (
    FROZEN,
    SMALL,
    combine,
    groups,
    make_optimizer,
    partition,
    project_damping,
)

RATE, DECAY, STEPS = 0.1, 0.01, 5
PARAMS = {"a": jnp.array([1.0, -2.0]), "b": {"c": jnp.array([[0.5], [3.0]])}}
TRAINED = {"a": "trained", "b": {"c": "trained"}}
GRADIENTS = [
    {
        "a": jnp.array([0.3 * (i + 1), -1.0]),
        "b": {"c": jnp.array([[2.0 - i], [0.1]])},
    }
    for i in range(STEPS)
]


def trained(config: TrainConfig, labels=TRAINED, rates=None, gradients=GRADIENTS):
    """Parameters and optimizer state after a step with each of the gradients."""
    optimizer = make_optimizer(config, labels)
    params, state = PARAMS, optimizer.init(PARAMS)
    rates = rates or {"trained": 1.0}
    for gradient in gradients:
        params, state = updated(optimizer, gradient, state, params, rates)
    return params, state


def updated(optimizer, gradient, state, params, rates):
    """Parameters and optimizer state after a step."""
    packed, state = optimizer.update(optimizer.pack(gradient), state, optimizer.pack(params), rates)
    return optimizer.unpack(packed, optimizer.starts(params), params), state


def options(optimizer: str, **changes) -> TrainConfig:
    return TrainConfig(optimizer=optimizer, learning_rate=RATE, weight_decay=DECAY, **changes)


def by_hand(step):
    """Runs a rule (w, g, memory, t) -> (w, memory) of one array over all steps and arrays."""
    params = jax.tree.map(np.float64, PARAMS)
    memory = jax.tree.map(lambda p: (np.zeros(p.shape), np.zeros(p.shape)), params)
    for t, gradient in enumerate(GRADIENTS, 1):
        for path in (("a",), ("b", "c")):
            tree, kept, grad = params, memory, gradient
            for key in path[:-1]:
                tree, kept, grad = tree[key], kept[key], grad[key]
            tree[path[-1]], kept[path[-1]] = step(
                tree[path[-1]], np.float64(grad[path[-1]]), kept[path[-1]], t
            )
    return params


def moments(g, memory, t):
    m, v = 0.9 * memory[0] + 0.1 * g, 0.999 * memory[1] + 0.001 * g**2
    return m / (1 - 0.9**t), v / (1 - 0.999**t), (m, v)


def torch_adamw(w, g, memory, t):
    w = w - RATE * DECAY * w
    m, v, memory = moments(g, memory, t)
    return w - RATE * m / (np.sqrt(v) + 1e-8), memory


def torch_adam(w, g, memory, t):
    m, v, memory = moments(g + DECAY * w, memory, t)
    return w - RATE * m / (np.sqrt(v) + 1e-8), memory


def torch_sgd(w, g, memory, t):
    m = 0.9 * memory[0] + g + DECAY * w
    return w - RATE * m, (m, memory[1])


def lamb(w, g, memory, t):
    m, v, memory = moments(g, memory, t)
    update = m / (np.sqrt(v) + 1e-6) + DECAY * w
    return w - RATE * np.linalg.norm(w) / np.linalg.norm(update) * update, memory


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [("adamw", torch_adamw), ("adam", torch_adam), ("sgd", torch_sgd), ("lamb", lamb)],
)
def test_five_steps_by_the_published_formula(optimizer, rule):
    found, _ = trained(options(optimizer))
    expected = by_hand(rule)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5)


def test_one_step_of_sgd_worked_out_by_hand():
    found, _ = trained(options("sgd"), gradients=GRADIENTS[:1])
    # 1 - 0.1 (0.3 + 0.01 * 1) and -2 - 0.1 (-1 + 0.01 * -2)
    assert found["a"].tolist() == pytest.approx([0.969, -1.898])


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_large_leaves_are_updated_like_small_ones(optimizer, monkeypatch):
    together = trained(options(optimizer))[0]
    monkeypatch.setattr("cgatjax.training.optimizer.LARGE", 1)
    apart = trained(options(optimizer))[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), apart, together)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "lamb"])
def test_frozen_leaves_stay_and_cost_no_memory(optimizer):
    big = {"frozen": jnp.ones((300, 7)), "free": jnp.ones(5)}
    rule = make_optimizer(options(optimizer), {"frozen": FROZEN, "free": "trained"})
    state = rule.init(big)
    moments, counters = 2 * 5, 2
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) <= moments + counters
    gradient = {"frozen": jnp.zeros((300, 7)), "free": jnp.ones(5)}
    found, _ = updated(rule, gradient, state, big, {"trained": 1.0})
    assert found["frozen"] is big["frozen"]
    assert (found["free"] != big["free"]).all()


def test_clipping_knows_the_trainable_gradient_alone():
    # The norm of the trainable gradient is 5; a frozen one of any size must not count.
    params = {"frozen": jnp.zeros(2), "free": jnp.zeros(2)}
    config = TrainConfig(optimizer="sgd", learning_rate=1.0, weight_decay=0.0, clip_norm=1.0)
    rule = make_optimizer(config, {"frozen": FROZEN, "free": "trained"})
    gradient = {"frozen": jnp.full(2, 1e6), "free": jnp.array([3.0, 4.0])}
    found, _ = updated(rule, gradient, rule.init(params), params, {"trained": 1.0})
    assert found["free"].tolist() == pytest.approx([-0.6, -0.8])
    assert found["frozen"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_group_at_rate_zero_counts_neither_in_the_norm_nor_in_the_moments(name):
    """Until it is unfrozen the encoder might as well be frozen for good."""
    config = TrainConfig(optimizer=name, learning_rate=1.0, clip_norm=1.0, weight_decay=0.0)
    params = {"encoder": jnp.zeros(3), "heads": jnp.zeros(3)}
    gradients = {"encoder": jnp.full(3, 100.0), "heads": jnp.full(3, 1.0)}
    found = {}
    for kind, labels in (
        ("standing", {"encoder": "later", "heads": "trained"}),
        ("frozen", {"encoder": FROZEN, "heads": "trained"}),
    ):
        optimizer = make_optimizer(config, labels)
        rates = {"later": 0.0, "trained": 1.0}
        state = optimizer.init(params)
        for _ in range(3):  # each from the same parameters
            found[kind], state = updated(optimizer, gradients, state, params, rates)
        assert not found[kind]["encoder"].any()
    np.testing.assert_allclose(found["standing"]["heads"], found["frozen"]["heads"], rtol=1e-6)
    if name == "sgd":  # momentum 0.9, three gradients clipped to norm 1
        np.testing.assert_allclose(found["frozen"]["heads"], -2.71 / 3**0.5, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_groups_have_rates_of_their_own(optimizer):
    labels = {"a": "slow", "b": {"c": "trained"}}
    rates = {"slow": 0.0, "trained": 1.0}
    found, state = trained(options(optimizer), labels, rates)
    full, full_state = trained(options(optimizer))
    assert np.array_equal(found["a"], PARAMS["a"])
    # The vectors have other lengths, and the last bit may differ.
    np.testing.assert_allclose(found["b"]["c"], full["b"]["c"], rtol=1e-6)
    assert groups(labels) == ("slow", "trained")
    # Standing still for a while, a group goes on gathering its moments.
    sizes = [sum(x.size for x in jax.tree.leaves(s)) for s in (state, full_state)]
    assert sizes[0] == sizes[1]


def test_a_rate_scales_the_step():
    whole, _ = trained(options("adamw"), gradients=GRADIENTS[:1])
    half, _ = trained(options("adamw"), rates={"trained": 0.5}, gradients=GRADIENTS[:1])
    np.testing.assert_allclose(PARAMS["a"] - half["a"], (PARAMS["a"] - whole["a"]) / 2, rtol=1e-5)


def test_a_group_without_a_rate_is_an_error():
    with pytest.raises(KeyError, match="slow"):
        trained(options("adamw"), {"a": "slow", "b": {"c": "trained"}})


def test_partition_and_combine_undo_each_other():
    labels = {"a": FROZEN, "b": {"c": "trained"}}
    trainable, frozen = partition(PARAMS, labels)
    assert trainable["a"] is None
    assert frozen["b"]["c"] is None
    assert combine(trainable, frozen) == PARAMS


def test_damping_alone_is_projected():
    params = {
        "u": {"damping": jnp.array(1.5), "kernel": jnp.array(1.5)},
        "damping": jnp.array(-2.0),
    }
    found = project_damping(params)
    assert float(found["u"]["damping"]) == 1.0
    assert float(found["u"]["kernel"]) == 1.5
    assert float(found["damping"]) == 0.0


def test_small_leaves_are_one_vector_per_group():
    rng = np.random.default_rng(0)
    params = {"a": {"k": rng.random((3, 4)), "b": rng.random(4)}, "c": rng.random(()), "d": None}
    labels = {"a": {"k": "slow", "b": "slow"}, "c": "trained", "d": FROZEN}
    optimizer = make_optimizer(TrainConfig(), labels)
    packed = optimizer.pack(params)
    assert {g: {n: x.shape for n, x in v.items()} for g, v in packed.items()} == {
        "slow": {SMALL: (16,)},
        "trained": {SMALL: (1,)},
    }
    same = optimizer.unpack(packed, optimizer.starts(params), params)
    assert jax.tree.map(np.shape, same) == jax.tree.map(np.shape, params)
    jax.tree.map(np.testing.assert_array_equal, same, jax.tree.map(np.float32, params))
