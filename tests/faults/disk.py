"""File operations below a folder, recorded one by one, with a fault at one of them.

The operations are those of this process's Python code: opening for writing, writing, truncating,
fsync, rename, replace, remove, mkdir, rmdir. Writing by orbax counts as one operation: C++ code
writes its files, and its threads take turns as they like. After a kill nothing else reaches the
disk any more: buffers that were not flushed are lost, `finally` blocks run without effect.
"""

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import orbax.checkpoint as ocp

FAULTS = ("kill", "torn write", "power cut", "EIO", "ENOSPC")
"""The process is killed before the operation; killed after half of a write; killed, and what was
not flushed to the disk is lost; the operation fails once; the disk is full from then on."""
GROWING = ("open", "write", "mkdir", "save")
"""Operations that need space on the disk."""


class Killed(BaseException):
    """End of a process that is killed; no `except Exception` catches it."""


class Operation(NamedTuple):
    """One file operation.

    Attributes:
      kind: "open", "write", "truncate", "fsync", "rename", "remove", "mkdir", "rmdir", "save".
      path: relative to the watched folder.
      in_main: True in the main thread, False in the background; each is counted by itself.
      number: count of operations of this thread, from 0.
    """

    kind: str
    path: str
    in_main: bool
    number: int

    def can_have(self, fault: str) -> bool:
        """Check whether the fault differs here from those at other operations."""
        if fault == "torn write":
            return self.kind in ("write", "save")
        return fault != "ENOSPC" or self.kind in GROWING


class Disk:
    """Watch of the files below a folder, with at most one fault.

    Attributes:
      done: operations so far, in order.
      hit: the operation at which the fault came, None before.
      killed_before_end: True if the process was killed while it was watched.
    """

    def __init__(self, root: Path, fault: str = "", in_main: bool = True, number: int = -1) -> None:
        self.root = root.resolve()
        self.done: list[Operation] = []
        self.hit: Operation | None = None
        self.killed_before_end = False
        self._fault, self._at = fault, (in_main, number)
        self._dead = self._full = False
        self._lock = threading.RLock()
        self._saving: str | None = None
        self._counts = {True: 0, False: 0}
        self._open: list[_RawFile] = []
        self._flushed: dict[int, tuple[Path, int]] = {}

    @property
    def killed(self) -> bool:
        """True if the process was killed."""
        return self._dead

    def start(self, kind: str, path: str | Path) -> bool:
        """Record an operation before it is done; True if half of it is to be done and no more.

        Raises:
          Killed: the process ends here, or has ended.
          OSError: the fault.
        """
        with self._lock:
            if self._dead:
                raise Killed
            in_main = threading.current_thread() is threading.main_thread()
            relative = os.path.relpath(path, self.root)
            operation = Operation(kind, relative, in_main, self._counts[in_main])
            self._counts[in_main] += 1
            self.done.append(operation)
            if self._full and kind in GROWING:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if (in_main, operation.number) != self._at:
                return False
            self.hit = operation
            if self._fault == "EIO":
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            if self._fault == "ENOSPC":
                self._full = True
                if kind == "write":
                    return True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            if self._fault == "torn write":
                return True
            self.die(loses_cache=self._fault == "power cut")
            raise Killed

    def die(self, loses_cache: bool = False) -> None:
        """End the process; a power cut also loses what no fsync has flushed."""
        self._dead = True
        if not loses_cache:
            return
        for path, size in self._flushed.values():
            current = _path_of(path)
            if current is not None and os.path.getsize(current) > size:
                os.truncate(current, size)

    def watches(self, path: Any, folder: int | None = None) -> Path | None:
        """Return the absolute path if it is below the watched folder."""
        if isinstance(path, int):
            return None
        text = os.fsdecode(path)
        if folder is not None:
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        text = os.path.abspath(text)
        if (saving := self._saving) and text.startswith(saving):
            return None  # orbax writes to a folder with a longer name and renames it
        return Path(text) if Path(text).is_relative_to(self.root) else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record, and let the fault come, while the block runs."""
        with (
            patch("builtins.open", self._opened(io.open)),
            patch("io.open", self._opened(io.open)),
            patch("shutil._USE_CP_SENDFILE", False),
            patch("os.fsync", self._fsync(os.fsync)),
            patch("os.rename", self._renamed(os.rename)),
            patch("os.replace", self._renamed(os.replace)),
            patch("os.unlink", self._called("remove", os.unlink)),
            patch("os.remove", self._called("remove", os.remove)),
            patch("os.mkdir", self._called("mkdir", os.mkdir)),
            patch("os.rmdir", self._called("rmdir", os.rmdir)),
            patch.object(ocp.Checkpointer, "save", self._saved(ocp.Checkpointer.save)),
        ):
            try:
                yield
            finally:
                self.killed_before_end = self._dead
                self._dead = True
                for file in self._open:
                    file.abandon()

    def note_size(self, path: Path, descriptor: int, *, flushed: bool) -> None:
        """Remember how much of a file has been flushed."""
        inode = os.fstat(descriptor).st_ino
        if flushed or inode not in self._flushed:
            size = os.fstat(descriptor).st_size
            self._flushed[inode] = (_Inode(self.root, inode), size)

    def _opened(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opened(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            path = None
            if set(mode) & set("wax+") and opener is None:
                path = self.watches(file)
            if path is None:
                return original(file, mode, buffering, encoding, errors, newline, closefd, opener)
            self.start("open", path)
            raw = _RawFile(self, path, mode.replace("b", "").replace("t", ""))
            self._open.append(raw)
            if buffering == 0:
                return raw
            kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
            buffer = kind(raw)
            return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

        return opened

    def _fsync(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        def fsync(file: Any) -> None:
            descriptor = file if isinstance(file, int) else file.fileno()
            path = self.watches(os.readlink(f"/proc/self/fd/{descriptor}"))
            if path is not None:
                self.start("fsync", path)
                if path.is_file():
                    self.note_size(path, descriptor, flushed=True)
            # Not done: nothing here loses power, and it would take most of the time.

        return fsync

    def _renamed(self, original: Callable[..., None]) -> Callable[..., None]:
        def renamed(old: Any, new: Any, **folders: Any) -> None:
            path = self.watches(new)
            if path is not None:
                self.start("rename", path)
            original(old, new, **folders)

        return renamed

    def _called(self, kind: str, original: Callable[..., None]) -> Callable[..., None]:
        def called(path: Any, *arguments: Any, dir_fd: int | None = None) -> None:
            found = self.watches(path, dir_fd)
            if found is not None:
                self.start(kind, found)
            original(path, *arguments, dir_fd=dir_fd)

        return called

    def _saved(self, original: Callable[..., None]) -> Callable[..., None]:
        def saved(checkpointer: Any, folder: Any, *arguments: Any, **options: Any) -> None:
            try:
                torn = self.start("save", Path(folder))
            except OSError as error:
                raise ValueError(str(error)) from error  # as tensorstore does
            self._saving = os.path.abspath(folder)
            try:
                original(checkpointer, folder, *arguments, **options)
            finally:
                self._saving = None
            if torn:
                files = sorted(f for f in Path(folder).rglob("*") if f.is_file())
                for file in files:
                    os.truncate(file, file.stat().st_size // 2)
                with self._lock:
                    self._dead = True
                raise Killed

        return saved


class _Inode(NamedTuple):
    """File that may have been renamed since."""

    root: Path
    number: int


def _path_of(file: _Inode) -> Path | None:
    for path in file.root.rglob("*"):
        if path.is_file() and path.stat().st_ino == file.number:
            return path
    return None


class _RawFile(io.FileIO):
    """Unbuffered file whose operations are recorded."""

    def __init__(self, disk: Disk, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._disk, self._path = disk, path
        if "w" in mode or not path.stat().st_size:
            disk.note_size(path, self.fileno(), flushed=True)
        else:
            disk.note_size(path, self.fileno(), flushed=False)

    def write(self, data: Any) -> int:
        disk, size = self._disk, memoryview(data).nbytes
        if disk.killed:
            return size  # buffers that are closed after the kill
        half = disk.start("write", self._path)
        if half:
            super().write(memoryview(data).cast("B")[: size // 2])
            if disk._fault == "torn write":
                disk.die()
                raise Killed
            return size // 2
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        if size is not None and size < os.fstat(self.fileno()).st_size:
            self._disk.start("truncate", self._path)
        return super().truncate(size)

    def abandon(self) -> None:
        """Close the file of a process that has ended, without its buffers."""
        if not self.closed:
            super().close()
