"""Unpacking of archives of every kind, including malicious and damaged ones."""

import bz2
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from cgatjax.errors import InputError
from cgatjax.preprocessing import unpacking
from cgatjax.preprocessing.unpacking import is_packed, unpack
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals


def tar(path: Path, *members: tuple[tarfile.TarInfo | str, bytes]) -> Path:
    with tarfile.open(path, f"w:{path.suffix[1:]}" if path.suffix != ".tar" else "w") as file:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/hostname"
    return info


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_compressed_crystals_in_an_archive_are_read(tmp_path, ending):
    crystals = ionic_crystals(3)
    content = bz2.compress(write_dcgat(crystals, tmp_path / "a.json").read_bytes())
    path = tmp_path / f"scan.{ending}"
    members = {f"deep/{k}.json.bz2": content for k in range(2)}
    file = zipped(path, **members) if ending == "zip" else tar(path, *members.items())
    folder, is_new = unpack(file)
    assert (folder, is_new) == (tmp_path / "scan", True)
    assert len(list(read_crystals(folder))) == 6
    assert unpack(file) == (folder, False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "scan", file.name]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../out.json", "expected a path inside"),
        ("/out.json", "expected a path inside"),
        ("a/../../out.json", "expected a path inside"),
        ("C:out.json", "expected a path inside"),
        ("a\\..\\out.json", "expected a path inside"),
        (link(tarfile.SYMTYPE), "a link or device"),
        (link(tarfile.LNKTYPE), "a link or device"),
        (link(tarfile.FIFOTYPE), "a link or device"),
        ("good.json", "occurs twice in the archive"),
    ],
)
def test_malicious_members_of_tar_files_are_refused(tmp_path, member, message):
    inside = tmp_path / "inside"
    inside.mkdir()
    content = b"" if isinstance(member, tarfile.TarInfo) else b"{}"
    file = tar(inside / "evil.tar", ("good.json", b"{}"), (member, content))
    with pytest.raises(InputError, match=message):
        unpack(file)
    assert [p.name for p in tmp_path.rglob("*")] == ["inside", "evil.tar"]


def test_malicious_members_of_zip_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected a path inside"):
        unpack(zipped(tmp_path / "a.zip", **{"../out": b"1"}))
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr(info, "/etc/hostname")
    with pytest.raises(InputError, match="a link or device"):
        unpack(tmp_path / "b.zip")


def test_implausibly_large_contents_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1000)
    for file in (
        zipped(tmp_path / "bomb.zip", zeros=bytes(10**6)),
        tar(tmp_path / "bomb.tar.xz", ("zeros", bytes(10**6))),
    ):
        with pytest.raises(InputError, match="more than is plausible"):
            unpack(file)
    assert len(list(tmp_path.iterdir())) == 2


def test_damaged_archives_leave_no_files(tmp_path):
    whole = tar(tmp_path / "a.tar.gz", ("a", bytes(range(256)) * 400)).read_bytes()
    for name, content in (
        ("cut.tar.gz", whole[: len(whole) // 2]),
        ("none.zip", b"no archive"),
        ("empty.tar", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            InputError, match=rf"(?s){name}: cannot be read as an archive: .*download it again"
        ):
            unpack(tmp_path / name)
        assert not (tmp_path / name.split(".")[0]).exists()


def test_other_files_are_refused(tmp_path):
    assert not is_packed("dcgat_1_000.json.bz2")
    for name in ("a.json.bz2", ".zip"):
        with pytest.raises(InputError, match=r"expected an archive \(\.tar"):
            unpack(tmp_path / name)
