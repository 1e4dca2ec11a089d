"""Atomic writes, and the advice of their errors."""

import errno
import os
import stat

import pytest

from cgatjax.errors import CgatjaxError, StorageError
from cgatjax.runtime.atomic_files import write_durably, writing


def refuse(number: int):
    def call(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return call


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.json"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a.json"
    write_durably(path, b"one")
    monkeypatch.setattr(os, call, refuse(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"a\.json: cannot be written: No space.*free some"):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StorageError, match=r"Permission denied.*may write to"):
            write_durably(tmp_path / "a", b"")
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EROFS, "read-only"), (errno.EFBIG, "ulimit"), (errno.EIO, "check the disk")],
)
def test_each_refusal_has_its_advice(tmp_path, number, advice):
    with pytest.raises(StorageError, match=advice) as caught, writing(tmp_path / "f"):
        refuse(number)()
    assert isinstance(caught.value, CgatjaxError)
    assert isinstance(caught.value, OSError)


def test_other_errors_pass_and_storage_errors_are_not_wrapped_twice(tmp_path):
    with pytest.raises(ValueError, match="other"), writing(tmp_path):
        raise ValueError("other")
    with pytest.raises(StorageError, match=r"^inner: cannot"), writing(tmp_path / "outer"):
        raise StorageError("inner: cannot")
