"""One process of a training on several; run by `test_devices.py`, also without others.

    host_worker.py STORE RUN DEVICES EPOCHS PARTS PORT N_PROCESSES PROCESS

PARTS is "heads" (encoder frozen) or "all". A run folder that exists is resumed. The exit code of a
run that SIGTERM stopped is 143. Each process writes the digest of its final weights beside the run.
"""

import logging
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    *arguments, port, n_processes, process = sys.argv[1:]
    from cgatjax.errors import Interrupted
    from cgatjax.runtime.distributed import initialize

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    initialize(f"127.0.0.1:{port}", int(n_processes), int(process))
    try:
        digest = train(*arguments)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 128 + signal.SIGTERM
    Path(f"{arguments[1]}.{process}.digest").write_text(digest)
    return 0


def train(store_path, run_path, n_devices, epochs, parts):
    """Digest of the final weights."""
    from tests.networks import TWO_STEPS

    import cgatjax as cg
    from cgatjax.model.model import weights_digest
    from cgatjax.runs.run_folder import RunFolder
    from cgatjax.runtime.distributed import is_first_process
    from cgatjax.training.transfer_params import TRAINED, label_parameters

    store = cg.open_store(store_path)
    train_set, valid, _ = store.split(seed=0)
    network = cg.ModelConfig.small(**TWO_STEPS)
    model = cg.init_model(network, store, target="e-form@low", seed=0)
    rules = [("encoder/*", "frozen")] if parts == "heads" else []
    labels = label_parameters(model.params, [*rules, ("*", TRAINED)])
    # Adam would blow differences of rounding up where a gradient is zero but for them.
    config = cg.TrainConfig(
        epochs=int(epochs),
        batch_size=16,
        accumulate=2,
        optimizer="sgd",
        learning_rate=1e-2,
        cycle_period=4,
        devices=int(n_devices),
        checkpoint_seconds=0.2,
    )
    path = Path(run_path)
    run = RunFolder(path, resume=path.exists()) if is_first_process() else None
    model, _ = cg.fit(model, train_set, valid, config, labels=labels, run=run)
    return weights_digest(model.params)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    if code:
        # Without waiting for the processes that were stopped at the same step.
        os._exit(code)
