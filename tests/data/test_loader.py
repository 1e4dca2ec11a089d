import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.data import loader as module
from cgatjax.data.batching import BatchBudget
from cgatjax.data.datasets import ConcatDataset
from cgatjax.data.loader import (
    BatchLoader,
    BatchPlan,
    Padding,
    assign_steps,
    choose_budgets,
    epoch_order,
    plan,
    prefetch,
    shuffled,
)
from cgatjax.errors import InputError


def random_sizes(seed: int, n: int) -> np.ndarray:
    """Nodes, edges, composition nodes and edges of n crystals, some of them large."""
    rng = np.random.default_rng(seed)
    elements = rng.integers(1, 6, n)
    nodes = elements + rng.geometric(0.1, n)
    return np.stack([nodes, nodes * rng.integers(3, 25, n), elements, elements * (elements - 1)], 1)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 150), batch_size=st.integers(1, 40))
def test_every_crystal_once_in_batches_that_fit(seed, n, batch_size):
    sizes = random_sizes(seed, n)
    budgets = choose_budgets(sizes, batch_size)
    assert len(budgets) <= 2
    more = 0 if batch_size < 8 else 2 * batch_size**0.5
    order = shuffled(n, seed, 0)
    planned = plan(sizes, order, budgets)
    assert np.concatenate([p.positions for p in planned]).tolist() == order.tolist()
    for part in planned:
        assert part.budget in budgets
        assert 1 <= len(part.positions) <= batch_size + more
        assert len(part.positions) + 1 <= part.budget.graphs
        nodes, edges, elements, pairs = sizes[part.positions].sum(0)
        assert nodes + 1 <= part.budget.nodes
        assert edges <= part.budget.edges
        assert elements + 1 <= part.budget.composition_nodes
        assert pairs <= part.budget.composition_edges


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 400),
    batch_size=st.integers(1, 40),
    multiple=st.integers(1, 4),
)
def test_equal_batches_hold_every_crystal_once_and_are_not_more(seed, n, batch_size, multiple):
    sizes, order = random_sizes(seed, n), shuffled(n, seed, 0)
    budgets = choose_budgets(sizes, batch_size)
    fewest = len(plan(sizes, order, budgets))
    planned = plan(sizes, order, budgets, equal=True, multiple=multiple)
    assert np.concatenate([p.positions for p in planned]).tolist() == order.tolist()
    assert fewest <= len(planned) <= -(-fewest // multiple) * multiple
    for part in planned:
        nodes, edges, elements, pairs = sizes[part.positions].sum(0)
        assert (len(part.positions) + 1, nodes + 1) <= (part.budget.graphs, part.budget.nodes)
        assert edges <= part.budget.edges
        assert elements + 1 <= part.budget.composition_nodes
        assert pairs <= part.budget.composition_edges


def test_no_step_of_an_epoch_is_left_with_a_rest():
    """Greedy batches leave less than a quarter of a batch in a third of the epochs."""
    sizes = random_sizes(0, 1000)
    budgets = choose_budgets(sizes, 64)
    last = {equal: [] for equal in (False, True)}
    for epoch in range(30):
        order = shuffled(1000, 0, epoch)
        for equal in (False, True):
            counts = [len(p.positions) for p in plan(sizes, order, budgets, equal=equal)]
            last[equal].append(min(counts) / np.mean(counts))
    assert min(last[False]) < 0.25
    assert min(last[True]) > 0.6
    assert np.mean(last[True]) > 0.75


@pytest.mark.parametrize(
    ("batch_size", "padding"), [(7, 0.45), (8, 0.2), (16, 0.15), (32, 0.1), (64, 0.1), (512, 0.05)]
)
def test_batches_have_the_requested_size_and_little_padding(batch_size, padding):
    sizes = random_sizes(0, 8000)
    padded, counts = Padding(), []
    for planned in plan(sizes, shuffled(8000, 0, 0), choose_budgets(sizes, batch_size)):
        padded.add(planned, sizes)
        counts.append(len(planned.positions))
    assert np.mean(counts[:-1]) == pytest.approx(batch_size, rel=0.05)
    assert max(padded.fraction) < padding


def test_shared_sizes_are_few_and_hold_what_the_own_ones_hold():
    rng, shared, own = np.random.default_rng(0), set(), set()
    padded = Padding()
    for n in rng.integers(1, 2000, 40):
        sizes = random_sizes(n, n)
        exact = choose_budgets(sizes, 128)
        rounded = choose_budgets(sizes, 128, shared=True)
        assert (np.array(rounded[-1]) >= exact[-1]).all()
        large = np.array(exact[-1]) > (16, 64, 1024, 32, 128)
        assert (np.array(rounded[-1])[1:3] <= 1.25 * np.array(exact[-1])[1:3])[large[1:3]].all()
        for planned in plan(sizes, shuffled(n, 0, 0), rounded):
            padded.add(planned, sizes)
            shared.add(planned.budget)
        own |= {planned.budget for planned in plan(sizes, shuffled(n, 0, 0), exact)}
    assert len(shared) < 15 < 40 < len(own)
    assert max(padded.fraction) < 0.15


def test_small_inputs_share_one_shape():
    crystals = np.array([[2, 20, 2, 2], [5, 60, 3, 6], [1, 3, 1, 0]])
    found = {choose_budgets(crystals[:n], 128, shared=True) for n in (1, 2, 3)}
    assert found == {(BatchBudget(16, 64, 1024, 32, 128),)}


def test_equal_crystals_fill_their_batches():
    sizes = np.tile([5, 50, 2, 2], (100, 1))
    budgets = choose_budgets(sizes, 20)
    planned = plan(sizes, np.arange(100), budgets)
    assert [len(p.positions) for p in planned] == [20] * 5
    rest = plan(sizes, np.arange(44), budgets)
    assert [len(p.positions) for p in rest] == [20, 20, 4]
    assert rest[-1].budget == min(budgets) != max(budgets)


def test_a_crystal_larger_than_the_budget_is_an_error():
    sizes = np.array([[3, 10, 1, 0], [40, 10, 1, 0]])
    with pytest.raises(InputError, match="crystal 1"):
        plan(sizes, np.arange(2), [BatchBudget(5, 32, 64, 8, 16)])


def test_the_order_depends_on_seed_and_epoch_alone():
    assert np.array_equal(shuffled(50, 3, 7), shuffled(50, 3, 7))
    orders = {tuple(shuffled(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert sorted(shuffled(50, 3, 7)) == list(range(50))


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_a_part_of_each_epoch_is_of_the_last_data_set(ionic_store, fraction):
    low, high = ionic_store.all()[:90], ionic_store.all()[90:]
    data = ConcatDataset(low, high, last_fraction=fraction)
    orders = [epoch_order(data, seed=1, epoch=k) for k in range(40)]
    assert {len(order) for order in orders} == {120}
    assert {int((order >= 90).sum()) for order in orders} == {round(120 * fraction)}
    assert np.array_equal(orders[7], epoch_order(data, seed=1, epoch=7))
    # No crystal of a part is ahead of another one by more than one turn.
    counts = np.bincount(np.concatenate(orders), minlength=120)
    for part in (counts[:90], counts[90:]):
        assert part.max() - part.min() <= 1
    assert not np.array_equal(np.sort(orders[0]), np.sort(orders[1]))


def test_otherwise_every_crystal_comes_once(ionic_store):
    low, high = ionic_store.all()[:90], ionic_store.all()[90:]
    for data in (low, ConcatDataset(low, high)):
        assert np.array_equal(epoch_order(data, 1, 7), shuffled(len(data), 1, 7))


def test_an_epoch_holds_every_crystal_once_with_its_value(ionic_store):
    data = ionic_store.all().select(np.arange(5, 95))
    values = data.target("e-form@high")
    batches = BatchLoader(data, ["e-form@high"], 16)
    seen, shapes = [], set()
    for planned, batch in batches.batches(shuffled(len(data), 0, 0)):
        n = len(planned.positions)
        assert batch.graph_mask.sum() == n
        assert np.array_equal(batch.target_mask["e-form@high"], batch.graph_mask)
        assert batch.targets["e-form@high"][:n] == pytest.approx(values[planned.positions])
        assert batch.crystal.n_node[:n].tolist() == data.sizes[planned.positions, 0].tolist()
        seen += planned.positions.tolist()
        shapes.add(batch.crystal.nodes["element"].shape + batch.crystal.receivers.shape)
    assert sorted(seen) == list(range(len(data)))
    assert len(shapes) <= len(batches.budgets) <= 2


def test_batches_made_in_a_thread_have_the_precision_of_the_caller(ionic_store):
    with jax.enable_x64(True):
        loader = BatchLoader(ionic_store.all(), ["e-form@high"], 32)
        batches = [batch for _, batch in loader.batches(np.arange(len(ionic_store)))]
    assert {batch.targets["e-form@high"].dtype for batch in batches} == {np.dtype(np.float64)}
    assert {batch.crystal.edges["weight"].dtype for batch in batches} == {np.dtype(np.float64)}


def test_padding_is_counted(ionic_store):
    data = ionic_store.all()
    batches = BatchLoader(data, (), 32)
    nodes = edges = 0
    for _, batch in batches.batches(np.arange(len(data))):
        nodes += len(batch.crystal.nodes["element"])
        edges += len(batch.crystal.receivers)
    used = data.sizes.sum(0)
    assert batches.padding.fraction == pytest.approx((1 - used[0] / nodes, 1 - used[1] / edges))
    assert 0 < batches.padding.fraction[0] < 0.5


def test_all_is_padding_before_the_first_batch(ionic_store):
    assert BatchLoader(ionic_store.all(), (), 32).padding.fraction == (1.0, 1.0)


def test_an_error_in_the_thread_is_raised(ionic_store, monkeypatch):
    calls = []

    def failing(arrays, budget, real):
        calls.append(budget)
        if len(calls) == 2:
            raise InputError("the second batch")
        return budget

    monkeypatch.setattr(module, "assemble", failing)
    taken = BatchLoader(ionic_store.all(), (), 8).batches(np.arange(120))
    next(taken)
    with pytest.raises(InputError, match="the second batch"):
        next(taken)
    assert len(calls) < 15


def test_a_loader_may_be_left_in_the_middle(ionic_store):
    taken = BatchLoader(ionic_store.all(), (), 8).batches(np.arange(120))
    next(taken)
    taken.close()


@given(
    n=st.integers(0, 60),
    width=st.integers(1, 4),
    processes=st.integers(1, 3),
    start=st.integers(0, 5),
)
def test_every_batch_goes_to_one_process_once(n, width, processes, start):
    planned = [BatchPlan(np.array([i])) for i in range(n)]
    assigned = [assign_steps(planned, width, p, processes) for p in range(processes)]
    assert {len(steps) for steps in assigned} == {-(-n // (width * processes))}
    seen = []
    for together in zip(*assigned, strict=True):
        assert all(len(share) == width for share in together)
        seen += [int(i) for share in together for batch in share for i in batch.positions]
    # In the order of the plan, whatever the number of processes.
    assert seen == list(range(n))
    rest = assigned[0][start:]
    assert list(prefetch(len, assigned[0], start)) == [len(s) for s in rest]


def test_two_processes_see_every_crystal_once_per_epoch(ionic_store):
    data = ionic_store.all().select(np.arange(95))
    loader = BatchLoader(data, ["e-form@high"], 8, choose_budgets(data.sizes, 8)[-1:])
    for epoch in range(2):
        plan_ = loader.plan(shuffled(len(data), 0, epoch))
        assert len(plan_) % 4
        seen, known = [], 0
        for process in range(2):
            for step in prefetch(
                lambda share: [(p.positions, loader.load(p)) for p in share],
                assign_steps(plan_, 2, process, 2),
            ):
                for positions, batch in step:
                    seen += positions.tolist()
                    known += int(batch.target_mask["e-form@high"].sum())
                    assert batch.target_mask["e-form@high"].sum() == len(positions)
        assert sorted(seen) == list(range(len(data)))
        assert known == len(data)


def test_prefetching_starts_in_the_middle():
    done = []

    def work(job):
        done.append(job)
        return job

    results = prefetch(work, list(range(20)), 7)
    assert next(results) == 7
    results.close()
    assert done[0] == 7
    assert len(done) <= 2 + module.AHEAD
