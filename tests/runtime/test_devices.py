import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime import host_worker

from cgatjax.cli import main
from cgatjax.errors import ConfigError, TrainingError
from cgatjax.model.model_io import read_model
from cgatjax.runtime.devices import Devices, make_deterministic
from cgatjax.runtime.distributed import initialize, is_first_process, lost_process_errors

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
MAPPINGS = [("jit", 1), ("shard_map", 2), ("pmap", 2), ("pmap", 1)]


def chosen(mapping, count):
    return Devices.choose(count, "shard_map" if mapping == "jit" else mapping)


def environment(n_devices):
    """Of a Python of its own with so many virtual devices."""
    count = "xla_force_host_platform_device_count="
    flags = re.sub(rf"{count}\d+", f"{count}{n_devices}", os.environ["XLA_FLAGS"])
    own = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return {**own, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}


def device_steps(*arguments):
    run = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "device_steps.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(8),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


def test_eight_devices_take_the_step_of_one():
    """Two steps with uneven and all-padding parts and a spoiled step between them, float64."""
    found = device_steps()
    assert len(found) == 5
    assert max(found.values()) < 1e-11, found


@pytest.mark.long
def test_eight_devices_take_the_step_of_one_with_every_mapping():
    found = device_steps("--all")
    assert len(found) == 8
    assert max(found.values()) < 1e-11, found


@pytest.mark.parametrize(("mapping", "count"), MAPPINGS)
def test_a_function_gets_its_share_of_the_stack_and_sums_over_all(mapping, count):
    devices = chosen(mapping, count)
    assert (devices.mapping, devices.count, devices.local_count) == (mapping, count, count)
    stack = {"x": np.arange(12.0, dtype=np.float32).reshape(4, 3)}

    def function(weight, stack, factor):
        assert stack["x"].shape == (4 // count, 3)
        return devices.sum(factor * (weight * stack["x"]).sum())

    compiled = devices.compile(function)
    weight = devices.replicate(jnp.full(3, 2.0))
    assert float(compiled(weight, devices.place(stack), 10.0)) == 10 * 2 * 66


@pytest.mark.parametrize(("mapping", "count"), MAPPINGS)
def test_results_are_replicated_and_can_be_arguments_again(mapping, count):
    devices = chosen(mapping, count)
    step = devices.compile(lambda s, x, _: s + devices.sum(x.sum()), donate=True)
    total = devices.replicate(jnp.zeros(()))
    for _ in range(3):
        total = step(total, devices.place(np.ones((2, 5), np.float32)), None)
    assert total.shape == ()
    assert float(total) == 30


@given(st.integers(1, 3), st.sampled_from(["shard_map", "pmap"]))
def test_placed_stacks_are_in_order(n, mapping):
    stack = np.arange(2 * n * 3).reshape(2 * n, 3)
    placed = Devices.choose(2, mapping).place(stack)
    np.testing.assert_array_equal(np.asarray(placed).reshape(stack.shape), stack)
    parts = sorted(placed.addressable_shards, key=lambda shard: shard.device.id)
    np.testing.assert_array_equal(parts[1].data.reshape(n, 3), stack[n:])


def test_more_devices_than_there_are():
    n = jax.device_count()
    with pytest.raises(ConfigError, match=f"at most the {n} cpu devices of this run, got {n + 1}"):
        Devices.choose(n + 1)


@pytest.fixture
def no_coordinator(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_coordinator")
def test_without_a_coordinator_there_is_nothing_to_join():
    assert initialize() is False
    assert is_first_process()


@pytest.mark.usefixtures("no_coordinator")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("host:1234", 2, None), "needs? coordinator .*got 'host:1234', 2, None"),
        ((None, 2, 0), "got None, 2, 0"),
        (("host", 2, 0), "expected HOST:PORT, got 'host'"),
        ((":99", 2, 0), "expected HOST:PORT, got ':99'"),
        (("host:99", 2, 2), "expected 0 <= process_id < 2, got 2"),
        (("host:99", 2, 0), "before"),
    ],
)
def test_missing_arguments_and_late_calls_are_refused(arguments, message):
    jax.devices()
    with pytest.raises(ConfigError, match=message):
        initialize(*arguments)


@pytest.mark.usefixtures("no_coordinator")
def test_the_environment_is_read_and_checked(monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "host:99")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    monkeypatch.setenv("JAX_PROCESS_ID", "7")
    with pytest.raises(ConfigError, match="expected 0 <= process_id < 4, got 7"):
        initialize()
    monkeypatch.setenv("JAX_PROCESS_ID", "first")
    with pytest.raises(ConfigError, match=r"JAX_PROCESS_ID: expected .* got 'first'"):
        initialize()


def test_a_runtime_error_is_a_lost_process_only_if_there_are_several(monkeypatch):
    lost = jax.errors.JaxRuntimeError("UNAVAILABLE: task 1 is gone\nmore")
    with pytest.raises(jax.errors.JaxRuntimeError), lost_process_errors():
        raise lost
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with (
        pytest.raises(
            TrainingError, match=r"process 0 of 2 .*UNAVAILABLE: task 1 is gone; .*resume"
        ),
        lost_process_errors(),
    ):
        raise lost


EPOCHS = 120
"""Of a run that is interrupted: long enough to be."""


class Hosts:
    """Two processes of two devices each on this machine."""

    def __init__(self, store, run, parts, epochs):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.run, self.processes, self.said = run, [], []
        for process in range(2):
            training = [store.path, run, 4, epochs, parts]
            command = [HERE / "host_worker.py", *training, port, 2, process]
            self.said.append(run.with_name(f"{run.name}.{process}.said"))
            with open(self.said[-1], "w") as said:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-W", "error", *map(str, command)],
                        stderr=said,
                        stdout=said,
                        env=environment(2),
                    )
                )

    def codes(self, seconds=300):
        """Exit codes, once all have ended."""
        try:
            return [process.wait(seconds) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()

    def all_said(self):
        return "\n".join(said.read_text()[-3000:] for said in self.said)

    def wait_for_a_state(self):
        """Until a training state has been saved."""
        end = time.monotonic() + 300
        while not any(self.run.glob("checkpoints/epoch-*/manifest.json")):
            assert time.monotonic() < end, self.all_said()
            assert all(process.poll() is None for process in self.processes), self.all_said()
            time.sleep(0.05)

    def digests(self):
        """Of the final weights, by each process."""
        names = [f"{self.run.name}.{process}.digest" for process in range(len(self.processes))]
        return [self.run.with_name(name).read_text() for name in names]


def largest_change(run, other):
    """Between the weights of two runs, in units of the largest weight of each leaf."""
    models = [read_model(folder).params for folder in (run, other)]
    changes = jax.tree.map(lambda a, b: np.abs(a - b).max() / max(np.abs(b).max(), 1e-6), *models)
    return max(jax.tree.leaves(changes))


def assert_two_processes_are_one(store, folder, parts):
    """Two processes of two devices, and this one, on two of its own."""
    two = Hosts(store, folder / "two", parts, 3)
    host_worker.train(store.path, folder / "one", 2, 3, parts)
    assert two.codes() == [0, 0], two.all_said()
    assert len(set(two.digests())) == 1
    assert largest_change(two.run, folder / "one") < 1e-5


def test_two_processes_train_as_one(ionic_store, tmp_path):
    assert_two_processes_are_one(ionic_store, tmp_path, "heads")


@pytest.mark.long
def test_two_processes_train_a_whole_network_as_one(ionic_store, tmp_path):
    assert_two_processes_are_one(ionic_store, tmp_path, "all")


@pytest.mark.long
@pytest.mark.parametrize("lost", [0, 1])
def test_the_loss_of_a_process_ends_the_other_and_the_run_resumes(ionic_store, tmp_path, lost):
    whole = Hosts(ionic_store, tmp_path / "whole", "heads", EPOCHS)
    assert whole.codes() == [0, 0], whole.all_said()
    broken = Hosts(ionic_store, tmp_path / "broken", "heads", EPOCHS)
    broken.wait_for_a_state()
    broken.processes[lost].send_signal(signal.SIGKILL)
    began = time.monotonic()
    codes = broken.codes(90)
    assert time.monotonic() - began < 60
    assert codes[lost] == -signal.SIGKILL
    assert codes[1 - lost] not in (0, -signal.SIGKILL)
    said = broken.said[1 - lost].read_text()
    cause = "stopped sending heartbeats" if lost else "leader"
    assert cause in said, said[-3000:]
    resumed = Hosts(ionic_store, tmp_path / "broken", "heads", EPOCHS)
    assert resumed.codes() == [0, 0], resumed.all_said()
    assert {*resumed.digests()} == {*whole.digests()}


@pytest.mark.long
@pytest.mark.parametrize("asked", [0, 1])
def test_sigterm_to_one_process_stops_all_and_the_run_resumes(ionic_store, tmp_path, asked):
    whole = Hosts(ionic_store, tmp_path / "whole", "heads", EPOCHS)
    assert whole.codes() == [0, 0], whole.all_said()
    broken = Hosts(ionic_store, tmp_path / "broken", "heads", EPOCHS)
    broken.wait_for_a_state()
    broken.processes[asked].send_signal(signal.SIGTERM)
    assert broken.codes(90) == [143, 143], broken.all_said()
    resumed = Hosts(ionic_store, tmp_path / "broken", "heads", EPOCHS)
    assert resumed.codes() == [0, 0], resumed.all_said()
    assert {*resumed.digests()} == {*whole.digests()}


@pytest.mark.usefixtures("no_coordinator")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "many"], "--devices: expected a number or all, got 'many'"),
        (["--devices", "64"], "devices: expected at most the"),
        (["--devices", "2", "--batch-size", "7"], "a multiple of devices, which is 2"),
        (["--num-processes", "2"], "several processes need coordinator"),
    ],
)
def test_the_command_line_names_wrong_device_options(ionic_store, tmp_path, options, message):
    command = ["train", str(ionic_store.path), "--target", "e-form@low"]
    result = CliRunner().invoke(main, [*command, "--out", str(tmp_path / "run"), *options])
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_the_flag_of_deterministic_sums_is_added_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1")
    make_deterministic()
    make_deterministic()
    assert os.environ["XLA_FLAGS"] == "--xla_other=1 --xla_gpu_deterministic_ops=true"
