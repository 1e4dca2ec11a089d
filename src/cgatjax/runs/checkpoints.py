"""Training checkpoints: atomic, written in the background, verified when read.

A checkpoint is a folder `epoch-EEEEEE-step-SSSSSSSSS` (epochs done, steps done in the next one)
with the arrays in orbax's format, plain values in `progress.json`, and the manifest of
`atomic_folders`. The last two are kept, so that damage to one costs only the time since the other.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cgatjax.errors import InputError
from cgatjax.runtime import PART, damage, new_folder, writing

logger = logging.getLogger("cgatjax")
KEPT = 2
"""Number of checkpoints kept."""
ARRAYS, PROGRESS, DAMAGED = "arrays", "progress.json", "damaged-"


def checkpoint_name(epoch: int, step: int) -> str:
    """Return the name of the checkpoint after `epoch` epochs and `step` steps; sorts by time."""
    return f"epoch-{epoch:06d}-step-{step:09d}"


class CheckpointFolder:
    """Training checkpoints of a run; only one process may have the folder open."""

    def __init__(self, path: str | Path) -> None:
        import orbax.checkpoint as ocp

        self.path = Path(path)
        self._ocp = ocp
        # Only one of several processes has the run folder: without these options, orbax would wait
        # at a barrier for the others.
        own = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process-{own}"
        )
        self._orbax = ocp.Checkpointer(
            ocp.StandardCheckpointHandler(multiprocessing_options=alone),
            multiprocessing_options=alone,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cgatjax-checkpoints")
        self._writing: Future[None] | None = None
        for left in self.path.glob(f"*{PART}"):
            shutil.rmtree(left, ignore_errors=True)

    def names(self) -> list[str]:
        """List the complete checkpoints, oldest first."""
        return sorted(f.name for f in self.path.glob("epoch-*-step-*") if not f.suffix)

    def save(self, name: str, arrays: Any, progress: Mapping[str, Any]) -> None:
        """Start writing a tree of arrays, copied before this returns, and plain values in the
        background.
        """
        self.wait()
        # Copies: the next step reuses (donates) the memory of the arrays.
        copies = jax.tree.map(lambda x: np.array(x, copy=True), arrays)
        text = json.dumps(dict(progress))
        self._writing = self._thread.submit(self._write, name, copies, text)

    def wait(self) -> None:
        """Wait until the checkpoint being written is on disk."""
        if self._writing is not None:
            writing_ends, self._writing = self._writing, None
            writing_ends.result()

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Return arrays, shaped as in `like`, and progress of the newest undamaged checkpoint, or
        None.

        A damaged one is renamed to "damaged-..." with a warning; it is an InputError if all are.
        """
        names = self.names()
        for name in reversed(names):
            fault = damage(self.path / name)
            if fault is None:
                return self._read(self.path / name, like)
            logger.warning(
                "%s is damaged (%s); using the checkpoint before it", self.path / name, fault
            )
            shutil.rmtree(self.path / f"{DAMAGED}{name}", ignore_errors=True)
            (self.path / name).rename(self.path / f"{DAMAGED}{name}")
        if names:
            raise InputError(
                f"{self.path}: expected an undamaged training checkpoint, all {len(names)} are "
                "damaged; restore them from a copy, or remove the folder to start from epoch 0"
            )
        return None

    def close(self) -> None:
        """Wait until writing has ended."""
        self._thread.shutdown()
        self.wait()
        self._orbax.close()

    def _write(self, name: str, arrays: Any, progress: str) -> None:
        folder = self.path / name
        with writing(folder), new_folder(folder) as part:
            try:
                save = self._ocp.args.StandardSave(arrays)
                self._orbax.save((part / ARRAYS).absolute(), args=save)
            except ValueError as error:
                # tensorstore's exception for a full disk.
                raise OSError(str(error)) from error
            (part / PROGRESS).write_text(progress)
        for old in self.names()[:-KEPT]:
            shutil.rmtree(self.path / old, ignore_errors=True)

    def _read(self, folder: Path, like: Any) -> tuple[Any, dict[str, Any]]:
        abstract = jax.tree.map(lambda x: np.empty(np.shape(x), x.dtype), like)
        arguments = self._ocp.args.StandardRestore(abstract)
        arrays = self._orbax.restore((folder / ARRAYS).absolute(), args=arguments)
        return arrays, json.loads((folder / PROGRESS).read_text())
