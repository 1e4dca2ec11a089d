import errno
import os
import re
import stat

import pytest

from cgatjax.errors import CgatjaxError, RunExistsError, StorageError
from cgatjax.runtime.files import (
    MANIFEST,
    damage,
    new_folder,
    recovered,
    remove_leftovers,
    require_new,
    write_durably,
    writing,
)


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


def test_a_new_folder_of_requested_files_is_named(tmp_path, caplog):
    with caplog.at_level("INFO", logger="cgatjax"):
        require_new(tmp_path / "a.csv", None, tmp_path / "b" / "a.csv", tmp_path / "b" / "c.png")
    assert caplog.messages == [f"{tmp_path / 'b'}: new folder"]
    (tmp_path / "a.csv").touch()
    with pytest.raises(RunExistsError, match=r"a\.csv exists; choose another name"):
        require_new(tmp_path / "a.csv")


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


def write(path, text):
    with new_folder(path) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "a.txt").write_text(text)


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "folder"
    for text in ("one", "two"):
        write(path, text)
        assert damage(path) is None
        assert (path / "below" / "a.txt").read_text() == text
    assert sorted(f.name for f in path.iterdir()) == ["below", MANIFEST]
    assert [f.name for f in path.parent.iterdir()] == ["folder"]


def test_an_error_inside_leaves_the_earlier_folder(tmp_path):
    write(tmp_path / "folder", "one")
    with pytest.raises(TypeError, match="write_text"), new_folder(tmp_path / "folder") as folder:
        (folder / "b.txt").write_text()
    assert (tmp_path / "folder" / "below" / "a.txt").read_text() == "one"
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_leftovers_of_a_kill_are_removed(tmp_path):
    (tmp_path / "folder.part").mkdir()
    (tmp_path / "folder.part" / "half.txt").write_text("half")
    write(tmp_path / "folder", "one")
    assert not (tmp_path / "folder" / "half.txt").exists()
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]


def test_the_earlier_folder_is_found_during_the_exchange(tmp_path):
    path = tmp_path / "folder"
    assert recovered(path) == path
    write(tmp_path / "folder.earlier", "one")
    assert recovered(path) == tmp_path / "folder.earlier"
    write(path, "two")
    assert recovered(path) == path


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, r"below/a\.txt: missing"),
        ("onE", r"below/a\.txt: expected SHA-256 [0-9a-f]{16}\.\.\., found [0-9a-f]{16}"),
        ("on", r"below/a\.txt: expected 3 bytes, found 2"),
    ],
)
def test_damage_to_a_file_is_named(tmp_path, content, fault):
    write(tmp_path / "folder", "one")
    file = tmp_path / "folder" / "below" / "a.txt"
    file.unlink() if content is None else file.write_text(content)
    assert re.match(fault, damage(tmp_path / "folder") or "no damage")


@pytest.mark.parametrize("manifest", [None, "", "[1]", '{"a": 3}', '{"a": {"bytes": "x"}}'])
def test_a_damaged_manifest_is_named(tmp_path, manifest):
    write(tmp_path / "folder", "one")
    if manifest is None:
        (tmp_path / "folder" / MANIFEST).unlink()
    else:
        (tmp_path / "folder" / MANIFEST).write_text(manifest)
    assert (damage(tmp_path / "folder") or "").startswith(f"{MANIFEST}: expected sizes")


def test_leftovers_are_removed_and_an_interrupted_exchange_is_undone(tmp_path):
    for name, text in (("model.earlier", "one"), ("kept", "two"), ("kept.earlier", "old")):
        write(tmp_path / name, text)
    write(tmp_path / "model.part", "half")
    (tmp_path / "a.json.part").write_text("{")
    remove_leftovers(tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["kept", "model"]
    assert (tmp_path / "model" / "below" / "a.txt").read_text() == "one"
    assert (tmp_path / "kept" / "below" / "a.txt").read_text() == "two"
