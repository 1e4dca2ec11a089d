"""Atomic folders, and the damage that their manifests find."""

import re

import pytest

from cgatjax.runtime.atomic_folders import MANIFEST, damage, new_folder, recovered


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
