import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.config import TrainConfig
from cgatjax.model.losses import LOSSES
from cgatjax.model.normalizer import Normalizer
from cgatjax.runtime.devices import Devices
from cgatjax.training.input_pipeline import EmbeddingBatch
from cgatjax.training.optimizer import FROZEN, make_optimizer
from cgatjax.training.train_step import MaskedLoss, init_state, make_train_step

NORMALIZERS = {"a": Normalizer(mean=1.0, std=2.0), "b": Normalizer(mean=-3.0, std=0.5)}
SCALES = {name: (scale.mean, scale.std) for name, scale in NORMALIZERS.items()}
LABELS = {"encoder": {"damping": "trained"}, "heads": {"a": "trained", "b": "trained"}}


def forward(params, batch):
    """A linear network: enough to check the arithmetic around it."""
    x = batch.embedding * params["encoder"]["damping"]
    return {name: x @ kernel for name, kernel in params["heads"].items()}


def fresh_params(seed=0):
    rng = np.random.default_rng(seed)
    heads = {name: jnp.asarray(rng.normal(size=(3, 2)), jnp.float32) for name in "ab"}
    return {"encoder": {"damping": jnp.float32(0.5)}, "heads": heads}


def batch_of(n, seed=0, known=0.7):
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(size=n).astype(np.float32) for name in "ab"}
    masks = {name: rng.random(n) < known for name in "ab"}
    return EmbeddingBatch(
        embedding=rng.normal(size=(n, 3)).astype(np.float32),
        targets={name: np.where(masks[name], values[name], 0) for name in "ab"},
        target_mask=masks,
        graph_mask=np.ones(n, bool),
    )


def stacked(*batches):
    return jax.tree.map(lambda *x: np.stack(x), *batches)


def parts_of(batch, n):
    """The batch cut into n micro-batches of equal size."""
    return jax.tree.map(lambda x: x.reshape(n, -1, *x.shape[1:]), batch)


def make_step(labels=LABELS, loss="l1", **options):
    config = TrainConfig(**{"learning_rate": 0.01, "optimizer": "adamw", **options})
    optimizer = make_optimizer(config, labels)
    sums = MaskedLoss(forward, LOSSES[loss])
    return make_train_step(sums, optimizer, labels), optimizer


RATES = {"trained": 1.0}


@pytest.mark.parametrize("loss", ["l1", "l2", "robust_l1", "robust_l2"])
def test_masked_loss_and_errors_by_hand(loss):
    params, batch = fresh_params(), batch_of(11)
    found = MaskedLoss(forward, LOSSES[loss])(params, batch, SCALES)
    total, n = 0.0, 0
    for name, scale in NORMALIZERS.items():
        output = np.asarray(forward(params, batch)[name])
        known = np.flatnonzero(batch.target_mask[name])
        values = [(batch.targets[name][i] - scale.mean) / scale.std for i in known]
        total += sum(float(LOSSES[loss](output[i], v)) for i, v in zip(known, values, strict=True))
        n += len(known)
        errors = output[known, 0] * scale.std + scale.mean - batch.targets[name][known]
        assert float(found.errors[name].absolute) == pytest.approx(abs(errors).sum(), rel=1e-5)
        assert float(found.errors[name].squared) == pytest.approx((errors**2).sum(), rel=1e-5)
        assert float(found.errors[name].n) == len(known)
    assert float(found.loss) == pytest.approx(total, rel=1e-5)
    assert float(found.n) == n


def test_masked_values_do_not_matter():
    sums = MaskedLoss(forward, LOSSES["l2"])
    params, batch = fresh_params(), batch_of(8)
    odd = {name: np.where(batch.target_mask[name], v, 1e6) for name, v in batch.targets.items()}
    other = EmbeddingBatch(**{**batch.__dict__, "targets": odd})
    for x in (batch, other):
        assert float(sums(params, x, SCALES).loss) == pytest.approx(
            float(sums(params, batch, SCALES).loss)
        )
    gradients = [jax.grad(lambda p, x=x: sums(p, x, SCALES).loss)(params) for x in (batch, other)]
    jax.tree.map(np.testing.assert_array_equal, *gradients)


@pytest.mark.parametrize("loss", LOSSES)
def test_nan_behind_a_mask_changes_neither_loss_nor_gradients(loss):
    sums, params, batch = MaskedLoss(forward, LOSSES[loss]), fresh_params(), batch_of(9)
    spoilt = {n: np.where(batch.target_mask[n], v, np.nan) for n, v in batch.targets.items()}
    bad = dataclasses.replace(batch, targets=spoilt)
    value = jax.value_and_grad(lambda params, batch: sums(params, batch, SCALES).loss)
    jax.tree.map(np.testing.assert_array_equal, value(params, bad), value(params, batch))


@pytest.mark.parametrize("n_parts", [2, 3, 6])
def test_accumulated_micro_batches_are_one_batch(n_parts):
    batch = batch_of(12, known=0.6)
    results = []
    for batches in (stacked(batch), parts_of(batch, n_parts)):
        step, optimizer = make_step()
        state = init_state(fresh_params(), optimizer)
        for _ in range(3):
            state, metrics = step(state, batches, RATES, SCALES)
        results.append((state.params, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), *results)


@pytest.mark.parametrize("bad", ["embedding", "targets"])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(bad):
    step, optimizer = make_step()
    state, _ = step(init_state(fresh_params(), optimizer), stacked(batch_of(6)), RATES, SCALES)
    before = jax.tree.map(np.array, state)
    batch = batch_of(6, seed=1, known=1.0)
    if bad == "embedding":
        batch.embedding[2, 1] = np.nan
    else:
        batch.targets["a"][3] = np.inf
    after, metrics = step(state, stacked(batch), RATES, SCALES)
    assert int(after.skipped) == 1
    assert int(after.step) == int(before.step) == 1
    jax.tree.map(np.testing.assert_array_equal, after.params, before.params)
    jax.tree.map(np.testing.assert_array_equal, after.opt_state, before.opt_state)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(metrics))
    again, _ = step(after, stacked(batch_of(6, seed=2)), RATES, SCALES)
    assert (int(again.step), int(again.skipped)) == (2, 1)


def test_a_batch_without_known_values_moves_nothing():
    step, optimizer = make_step(weight_decay=0.0)
    state = init_state(fresh_params(), optimizer)
    before = jax.tree.map(np.array, state.params)
    state, metrics = step(state, stacked(batch_of(6, known=0.0)), RATES, SCALES)
    assert float(metrics.n) == 0
    jax.tree.map(np.testing.assert_array_equal, state.params, before)


def test_frozen_leaves_are_bit_identical_and_not_differentiated():
    labels = {"encoder": {"damping": FROZEN}, "heads": {"a": "trained", "b": FROZEN}}
    step, optimizer = make_step(labels, weight_decay=0.5)
    params = fresh_params()
    before = jax.tree.map(np.array, params)
    state = init_state(params, optimizer)
    for seed in range(4):
        state, _ = step(state, stacked(batch_of(6, seed)), RATES, SCALES)
    assert np.array_equal(state.params["encoder"]["damping"], before["encoder"]["damping"])
    assert np.array_equal(state.params["heads"]["b"], before["heads"]["b"])
    assert not np.array_equal(state.params["heads"]["a"], before["heads"]["a"])
    moments = [x.size for x in jax.tree.leaves(state.opt_state) if x.ndim]
    assert sum(moments) == 2 * before["heads"]["a"].size


def test_the_damping_stays_between_0_and_1():
    for start, sign in ((0.999, -1), (0.001, 1)):
        step, optimizer = make_step(optimizer="sgd", learning_rate=10.0)
        params = fresh_params()
        params["encoder"]["damping"] = jnp.float32(start)
        batch = batch_of(6, known=1.0)
        state, _ = step(init_state(params, optimizer), stacked(batch), RATES, SCALES)
        assert 0.0 <= float(state.params["encoder"]["damping"]) <= 1.0, sign


def test_one_compilation_per_shape_whatever_the_rates_and_normalizers():
    traces = []

    def counted(params, batch):
        traces.append(batch.graph_mask.shape)
        return forward(params, batch)

    optimizer = make_optimizer(TrainConfig(), LABELS)
    step = make_train_step(MaskedLoss(counted, LOSSES["l1"]), optimizer, LABELS)
    state = init_state(fresh_params(), optimizer)
    for seed, rate in ((0, 1.0), (1, 0.5), (2, 0.1)):
        scales = {name: (mean + seed, std * rate) for name, (mean, std) in SCALES.items()}
        state, _ = step(state, stacked(batch_of(6, seed)), {"trained": np.float32(rate)}, scales)
    assert len(traces) == 1
    step(state, stacked(batch_of(9)), {"trained": np.float32(1.0)}, SCALES)
    assert len(traces) == 2


@pytest.mark.parametrize("optimizer", ["adamw", "lamb"])
def test_on_a_gpu_the_host_does_not_wait_for_a_condition(optimizer, monkeypatch):
    bad = batch_of(6, seed=1)
    bad.embedding[2, 1] = np.nan
    ends = []
    for platform in ("cpu", "gpu"):
        monkeypatch.setattr(Devices, "platform", platform)
        step, rule = make_step(optimizer=optimizer)
        state = init_state(fresh_params(), rule)
        traced = str(jax.make_jaxpr(step)(state, stacked(batch_of(6)), RATES, SCALES))
        assert ("cond[" in traced) == (platform == "cpu")
        for batch in (batch_of(6), bad, batch_of(6, seed=2)):
            state, _ = step(state, stacked(batch), RATES, SCALES)
        ends.append(state)
    assert int(ends[0].step) == 2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *ends)


def test_new_values_of_equal_small_leaves_share_a_kernel():
    """XLA compiles equal kernels once, but copies from known places are all different."""
    names = [f"w{i}" for i in range(20)]
    params = fresh_params()
    params["encoder"] |= {name: jnp.ones(3) for name in names}
    labels = {**LABELS, "encoder": dict.fromkeys(params["encoder"], "trained")}
    step, optimizer = make_step(labels)
    state, stack = init_state(params, optimizer), stacked(batch_of(4))
    lowered = jax.jit(step).lower(state, stack, {"trained": np.float32(1)}, SCALES)
    text = lowered.compile().as_text()
    assert len(re.findall(r" dynamic-slice\(", text)) >= len(names)
    assert len(re.findall(r" slice\(", text)) < len(names)
