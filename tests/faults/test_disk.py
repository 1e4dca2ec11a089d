"""The faults are what they are called, and unsafe code is found."""

import errno
import os
import sys
from pathlib import Path

import pytest
from tests.faults.disk import Disk, Killed

from cgatjax.runtime.files import write_durably

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")


def careless(folder: Path) -> None:
    """Write in place, and rename without flushing."""
    (folder / "a").write_text("0123456789")
    (folder / "b.part").write_text("0123456789")
    os.replace(folder / "b.part", folder / "b")


def operations(folder: Path) -> list[tuple[str, str]]:
    disk = Disk(folder)
    with disk.watching():
        careless(folder)
    return [(o.kind, o.path) for o in disk.done]


def killed(folder: Path, fault: str, number: int) -> dict[str, str]:
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(Killed), Disk(folder, fault, True, number).watching():
        careless(folder)
    return {f.name: f.read_text() for f in sorted(folder.iterdir())}


def test_operations_are_recorded_in_order(tmp_path):
    assert operations(tmp_path) == [
        *(("open", "a"), ("write", "a"), ("open", "b.part"), ("write", "b.part")),
        ("rename", "b"),
    ]


def test_a_kill_comes_before_the_operation(tmp_path):
    assert killed(tmp_path, "kill", 0) == {}
    assert killed(tmp_path, "kill", 1) == {"a": ""}
    assert killed(tmp_path, "kill", 4) == {"a": "0123456789", "b.part": "0123456789"}


def test_a_torn_write_leaves_half(tmp_path):
    assert killed(tmp_path, "torn write", 1) == {"a": "01234"}


def test_a_power_cut_loses_what_was_not_flushed(tmp_path):
    assert killed(tmp_path, "power cut", 4) == {"a": "", "b.part": ""}


def test_a_flushed_file_survives_a_power_cut(tmp_path):
    with pytest.raises(Killed), Disk(tmp_path, "power cut", True, 5).watching():
        write_durably(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize(("fault", "second"), [("EIO", "written"), ("ENOSPC", "refused")])
def test_an_error_comes_once_and_a_full_disk_stays_full(tmp_path, fault, second):
    with Disk(tmp_path, fault, True, 0).watching():
        with pytest.raises(OSError, match=os.strerror(getattr(errno, fault))):
            (tmp_path / "a").write_text("one")
        try:
            (tmp_path / "a").write_text("two")
            found = "written"
        except OSError:
            found = "refused"
    assert found == second


def test_a_full_disk_takes_half_of_a_write(tmp_path):
    with (
        Disk(tmp_path, "ENOSPC", True, 1).watching(),
        open(tmp_path / "a", "wb", buffering=0) as file,
    ):
        assert file.write(b"0123456789") == 5
        with pytest.raises(OSError, match="No space"):
            file.write(b"56789")
    assert (tmp_path / "a").read_bytes() == b"01234"


def test_nothing_outside_the_folder_is_touched(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    with Disk(inside, "EIO", True, 0).watching():
        outside.write_text("text")
    assert outside.read_text() == "text"
