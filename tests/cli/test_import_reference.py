"""Errors of `cgatjax import-reference`."""

from pathlib import Path

from tests.commands import refused


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    line = refused("import-reference", tmp_path / "no.ckpt", "--out", tmp_path / "run")
    assert line
    assert not (tmp_path / "run").exists()
