"""What must be set before JAX is imported, and what all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

_flags = os.environ.get("XLA_FLAGS", "")
if "xla_force_host_platform_device_count" not in _flags:
    os.environ["XLA_FLAGS"] = f"{_flags} --xla_force_host_platform_device_count=2".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("MPLBACKEND", "agg")

# The same examples on every run and every machine; a slow first compilation is no failure.
settings.register_profile("cgatjax", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("cgatjax")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real crystals beside the checkout; without it, tests that ask are skipped."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs real crystals in {folder}")
    return folder
