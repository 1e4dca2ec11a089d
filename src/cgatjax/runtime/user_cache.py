"""Folder of the user for files that can be made again."""

import os
from pathlib import Path

VARIABLE = "CGATJAX_CACHE"
"""Environment variable; "off" keeps neither compiled programs nor results of self-checks."""


def user_cache(name: str) -> Path:
    """Return the subfolder of a kind of files, whether it exists or not.

    RuntimeError if the user has no home folder.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cgatjax" / name


def is_off() -> bool:
    """True if compiled programs and results of self-checks are not to be kept."""
    return os.environ.get(VARIABLE, "").lower() == "off"
