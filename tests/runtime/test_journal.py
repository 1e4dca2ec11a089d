import pytest

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.runtime.journal import Journal

OPTIONS = {"size": 3, "names": ("a", "b")}


def opened(folder, options=OPTIONS):
    return Journal(folder / "work.jsonl", options, "counting", "start again")


def test_entries_survive_and_a_partial_line_does_not_count(tmp_path):
    with opened(tmp_path) as journal:
        journal.append({"n": 1}, {"n": 2})
        journal.append({"n": 3}, durably=False)
        assert [entry["n"] for entry in journal.entries()] == [1, 2, 3]
    with journal.path.open("ab") as file:
        file.write(b'{"n": 4')
    with opened(tmp_path) as journal:
        assert [entry["n"] for entry in journal.entries()] == [1, 2, 3]
        journal.keep(1)
        journal.append({"n": 5})
        assert [entry["n"] for entry in journal.entries()] == [1, 5]
        journal.remove()
    assert not journal.path.exists()


def test_other_options_and_other_processes_are_refused(tmp_path):
    with opened(tmp_path), pytest.raises(RunExistsError, match="another process is counting"):
        opened(tmp_path)
    with pytest.raises(ConfigError, match=r"or start again: size: was 3, now 4$"):
        opened(tmp_path, {**OPTIONS, "size": 4})
    opened(tmp_path).close()


@pytest.mark.parametrize("content", [b"[]\n", b"{}\n", b"\xff\n", b'{"options": 3}\n'])
def test_a_damaged_journal_is_named(tmp_path, content):
    (tmp_path / "work.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"work\.jsonl: cannot be read as a journal.*start again"):
        opened(tmp_path)
