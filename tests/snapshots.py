"""Snapshots of a folder at every moment at which a kill could leave it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def snapshots(folder: Path, copies: Path) -> Iterator[list[Path]]:
    """Copy a folder before each call that makes something durable; list the copies, in order."""
    found: list[Path] = []

    def spied(call):
        def spy(*args):
            if folder.exists():
                found.append(shutil.copytree(folder, copies / f"{len(found):03d}"))
            return call(*args)

        return spy

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, spied(getattr(os, name)))
        yield found
