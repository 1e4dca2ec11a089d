"""Training states on disk: whole or absent, written in the background, checked when read.

A state is a folder `epoch-EEEEEE-step-SSSSSSSSS` (epochs done, steps done in the next one) with the
arrays as an orbax checkpoint, plain numbers as `progress.json`, and the manifest of `folders`. The
last two are kept, so that damage to one costs the time since the other.
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
from cgatjax.runtime.atomic_files import PART, writing
from cgatjax.runtime.atomic_folders import damage, new_folder

logger = logging.getLogger("cgatjax")
KEPT = 2
"""States that are kept, the newest ones."""
ARRAYS, PROGRESS, DAMAGED = "arrays", "progress.json", "damaged-"


def state_name(epoch: int, step: int) -> str:
    """Name of the state after some epochs and some steps of the next; sorts by time."""
    return f"epoch-{epoch:06d}-step-{step:09d}"


class StateFolder:
    """The training states of a run; one process at a time may have it open.

    Attributes:
      path: the folder of states.
    """

    def __init__(self, path: str | Path) -> None:
        import orbax.checkpoint as ocp

        self.path = Path(path)
        self._ocp = ocp
        # Of several processes one has the run folder, and must not wait for the others.
        own = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process-{own}"
        )
        self._orbax = ocp.Checkpointer(
            ocp.StandardCheckpointHandler(multiprocessing_options=alone),
            multiprocessing_options=alone,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cgatjax-states")
        self._writing: Future[None] | None = None
        for left in self.path.glob(f"*{PART}"):
            shutil.rmtree(left, ignore_errors=True)

    def names(self) -> list[str]:
        """The states that are there, oldest first."""
        return sorted(f.name for f in self.path.glob("epoch-*-step-*") if not f.suffix)

    def save(self, name: str, arrays: Any, progress: Mapping[str, Any]) -> None:
        """Starts writing a state. Its arrays are copied first and may be overwritten.

        Args:
          name: of `state_name`.
          arrays: a tree of arrays.
          progress: plain numbers, texts, lists and dictionaries.

        Raises:
          StorageError: the state before this one could not be written.
        """
        self.wait()
        copies = jax.tree.map(lambda x: np.array(x, copy=True), arrays)
        text = json.dumps(dict(progress))
        self._writing = self._thread.submit(self._write, name, copies, text)

    def wait(self) -> None:
        """Waits until the state that is being written is on the disk.

        Raises:
          StorageError: it could not be written; the ones before it are as they were.
        """
        if self._writing is not None:
            writing_ends, self._writing = self._writing, None
            writing_ends.result()

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Arrays and progress of the newest undamaged state, or None if there is no state.

        A damaged state is set aside under the name "damaged-..." with a warning.

        Args:
          like: a tree of arrays with the shapes and dtypes of those that were saved.

        Raises:
          InputError: all states are damaged.
        """
        names = self.names()
        for name in reversed(names):
            fault = damage(self.path / name)
            if fault is None:
                return self._read(self.path / name, like)
            logger.warning(
                "%s is damaged (%s); going back to the state before it", self.path / name, fault
            )
            shutil.rmtree(self.path / f"{DAMAGED}{name}", ignore_errors=True)
            (self.path / name).rename(self.path / f"{DAMAGED}{name}")
        if names:
            raise InputError(
                f"{self.path}: expected an undamaged training state, all {len(names)} are damaged; "
                "bring them back from a copy, or remove the folder to begin from the start"
            )
        return None

    def close(self) -> None:
        """Waits for writing to end.

        Raises:
          StorageError: as `wait`.
        """
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
                # What tensorstore says when the disk refuses.
                raise OSError(str(error)) from error
            (part / PROGRESS).write_text(progress)
        for old in self.names()[:-KEPT]:
            shutil.rmtree(self.path / old, ignore_errors=True)

    def _read(self, folder: Path, like: Any) -> tuple[Any, dict[str, Any]]:
        abstract = jax.tree.map(lambda x: np.empty(np.shape(x), x.dtype), like)
        arguments = self._ocp.args.StandardRestore(abstract)
        arrays = self._orbax.restore((folder / ARRAYS).absolute(), args=arguments)
        return arrays, json.loads((folder / PROGRESS).read_text())
