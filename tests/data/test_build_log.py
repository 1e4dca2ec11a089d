"""A killed build is resumed to the same bytes as an uninterrupted one."""

import dataclasses
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.snapshots import snapshots

from cgatjax.config import GraphConfig
from cgatjax.data import build
from cgatjax.data.build import build_store
from cgatjax.data.build_log import BuildLog, crystal_digest
from cgatjax.data.filters import Filter
from cgatjax.data.store import open_store
from cgatjax.errors import CgatjaxError, ConfigError, InputError, MismatchError, RunExistsError
from cgatjax.graphs import reduction
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

SHARE = GraphConfig.recommended()
SKIP = {"on_error": "skip", "keep": Filter(max_atoms=10)}


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 10)


@pytest.fixture
def whole(tmp_path, faulty_crystals) -> Path:
    """The store that was built in one go."""
    return build_store(faulty_crystals, tmp_path / "whole", SHARE, **SKIP).path


@pytest.fixture
def stopped(tmp_path, faulty_crystals) -> Path:
    """A folder in which two or three shards were finished when an interruption came."""

    def some():
        yield from faulty_crystals[:38]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_store(some(), tmp_path / "stopped", SHARE, **SKIP)
    assert (tmp_path / "stopped" / "shards" / "00001.arrow").exists()
    return tmp_path / "stopped"


def assert_same_files(one: Path, two: Path) -> None:
    names = [
        sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        for path in (one, two)
    ]
    assert names[0] == names[1]
    for name in names[0]:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def counted(monkeypatch) -> list[str]:
    """Ids of the crystals that are featurized from now on."""
    done: list[str] = []
    original = reduction.featurize

    def featurize(crystal, config):
        done.append(crystal.id)
        return original(crystal, config)

    monkeypatch.setattr(reduction, "featurize", featurize)
    return done


def test_finished_shards_are_not_featurized_again(whole, stopped, faulty_crystals, monkeypatch):
    with pytest.raises(InputError, match=r"not finished; resume with .* --resume"):
        open_store(stopped)
    n_shards = len(list((stopped / "shards").iterdir()))
    featurized = counted(monkeypatch)
    store = build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)
    assert featurized == [*store.ids[10 * n_shards :]]
    assert_same_files(whole, stopped)
    assert store.digest == open_store(whole, verify=True).digest
    reasons = (stopped / "skipped.csv").read_text()
    assert "singular lattice" in reasons
    assert "max_radius" in reasons
    assert "more than max_atoms=10" in reasons


def test_a_build_may_be_resumed_with_other_workers(whole, stopped, faulty_crystals):
    build_store(faulty_crystals, stopped, SHARE, resume=True, workers=2, **SKIP)
    assert_same_files(whole, stopped)


def test_a_kill_at_any_moment_of_writing_loses_nothing(tmp_path, whole, faulty_crystals):
    out = tmp_path / "out"
    with snapshots(out, tmp_path / "snapshots") as states:
        build_store(faulty_crystals, out, SHARE, **SKIP)
    assert len(states) > 20
    for state in states:
        if not (state / "store.json").exists():
            with pytest.raises(InputError, match="not finished"):
                open_store(state)
        build_store(faulty_crystals, state, SHARE, resume=True, **SKIP)
        assert_same_files(whole, state)


def test_other_options_are_refused_and_named(stopped, faulty_crystals):
    changed = SHARE.replace(max_radius=17.0)
    with pytest.raises(ConfigError, match=r"graph\.max_radius: was 18\.0, now 17\.0$"):
        build_store(faulty_crystals, stopped, changed, resume=True, **SKIP)
    with pytest.raises(ConfigError, match=r"max_atoms: was 10, now None; reduce: was True, now F"):
        build_store(faulty_crystals, stopped, SHARE, resume=True, reduce=False, on_error="skip")
    assert (stopped / "shards" / "00001.arrow").exists()


def changed_inputs(crystals):
    first, second, third = [i for i, c in enumerate(crystals) if c.n_sites <= 10][:3]

    def changed(place, **changes):
        return [
            *crystals[:place],
            dataclasses.replace(crystals[place], **changes),
            *crystals[place + 1 :],
        ]

    moved = crystals[third].frac_coords + 1e-9
    expected = f"expected the crystal {crystals[first].id!r}, found {crystals[second].id!r}"
    return {
        "order": (crystals[second:], expected),
        "fewer": (crystals[:15], "it ends before the crystal"),
        "structure": (changed(third, frac_coords=moved), "other structures or targets"),
        "target": (changed(third, targets={"e-form@low": 0.0}), "other structures or targets"),
        "failed": (changed(17, lattice=5.0 * np.eye(3)), "'odd-17' could not be featurized"),
    }


@pytest.mark.parametrize("change", ["order", "fewer", "structure", "target", "failed"])
def test_other_inputs_are_refused(stopped, faulty_crystals, change):
    inputs, message = changed_inputs(faulty_crystals)[change]
    with pytest.raises(MismatchError, match=f"{message}.*build the store again"):
        build_store(inputs, stopped, SHARE, resume=True, **SKIP)
    build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)


def test_a_skipped_failure_stops_a_resumed_build_that_raises(stopped, faulty_crystals):
    with pytest.raises(CgatjaxError, match="odd-"):
        build_store(faulty_crystals, stopped, SHARE, resume=True, keep=SKIP["keep"])


def test_a_build_does_not_continue_after_a_damaged_shard(stopped, faulty_crystals):
    file = stopped / "shards" / "00001.arrow"
    data = bytearray(file.read_bytes())
    data[-200] ^= 4
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"00001\.arrow"):
        build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)


@pytest.mark.parametrize("content", [b"[]\n", b"{}\n", b"\xff\n", b'{"options": 3}\n'])
def test_a_damaged_log_is_named(stopped, faulty_crystals, content):
    (stopped / "unfinished.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"unfinished\.jsonl: cannot be read.*remove the folder"):
        build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)


def test_a_partial_line_is_dropped(whole, stopped, faulty_crystals):
    with open(stopped / "unfinished.jsonl", "ab") as file:
        file.write(b'{"failed": {"id": "x", "source": "", "reason": "", "digest": ""}}\n{"sha')
    (stopped / "shards" / "00007.arrow.part").write_bytes(b"half")
    build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)
    assert_same_files(whole, stopped)


def test_two_builds_do_not_share_a_folder(stopped, faulty_crystals):
    source = build.BuildInput([], None, None, {})
    options = {**source.options, **build._options(SHARE, True, SKIP["keep"])}
    log = BuildLog(stopped, options)
    with pytest.raises(RunExistsError, match="another process is building"):
        build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)
    log.close()
    build_store(faulty_crystals, stopped, SHARE, resume=True, **SKIP)


def test_an_unfinished_folder_is_not_overwritten(stopped, faulty_crystals):
    with pytest.raises(RunExistsError, match=r"holds an unfinished build; continue with --resume"):
        build_store(faulty_crystals, stopped, SHARE, **SKIP)


def test_resuming_starts_a_missing_build_and_opens_a_finished_one(whole, faulty_crystals):
    new = whole.with_name("new")
    build_store(faulty_crystals, new, SHARE, resume=True, **SKIP)
    assert_same_files(whole, new)
    (new / "unfinished.jsonl").write_text("left over")  # a kill just before it was removed
    again = build_store([], new, SHARE, resume=True)
    assert again.digest == open_store(whole).digest
    assert_same_files(whole, new)
    with pytest.raises(ConfigError, match="is finished, with GraphConfig"):
        build_store(faulty_crystals, new, GraphConfig(), resume=True)


def test_a_folder_with_other_files_is_not_touched(tmp_path, faulty_crystals):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="nothing to resume"):
        build_store(faulty_crystals, tmp_path, SHARE, resume=True, **SKIP)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_digest_of_a_crystal_depends_on_everything_in_its_row(faulty_crystals):
    crystal = faulty_crystals[0]
    changes = [
        {"id": "other"},
        {"lattice": 1.001 * crystal.lattice},
        {"frac_coords": crystal.frac_coords + 1e-12},
        {"atomic_numbers": crystal.atomic_numbers[::-1]},
        {"targets": {}},
    ]
    digests = {crystal_digest(dataclasses.replace(crystal, **change)) for change in changes}
    assert len(digests | {crystal_digest(crystal)}) == 6
    assert crystal_digest(dataclasses.replace(crystal, source="x")) == crystal_digest(crystal)


BUILD_SLOWLY = """
import sys, time
from cgatjax.config import GraphConfig
from cgatjax.data import shard_writer as shards
from cgatjax.data import build
from cgatjax.data.filters import Filter
from cgatjax.graphs import reduction
from cgatjax.structures.readers import read_crystals

config = GraphConfig.recommended(max_radius=7.0)
featurize = reduction.featurize
featurize(next(read_crystals(sys.argv[1])), config)  # imports what it needs

def slowly(crystal, config):
    time.sleep(0.01)
    return featurize(crystal, config)

reduction.featurize, build.CHUNK, shards.SHARD = slowly, 4, 10
build.build_store(
    [sys.argv[1]], sys.argv[2], config, on_error="skip", keep=Filter(max_atoms=10), resume=True
)
"""


class Killing:
    """Builds in processes of its own, killed at random moments until they succeed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.file = write_dcgat(ionic_crystals(150, seed=5), folder / "crystals.json.gz")
        config = SHARE.replace(max_radius=7.0)
        self.whole = build_store([self.file], folder / "whole", config, **SKIP)
        self.kills = self.finished = 0

    def attempt(self, out: Path) -> bool:
        """Starts or resumes a build, and kills it, or finds it finished."""
        begun = out / "unread.csv.part"  # made anew by every attempt when it has read its options
        begun.unlink(missing_ok=True)
        script = [sys.executable, "-c", BUILD_SLOWLY, str(self.file), str(out)]
        with subprocess.Popen(script) as process:
            while not begun.exists() and process.poll() is None:
                time.sleep(0.01)
            try:
                process.wait(self.random.uniform(0, 1))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        if process.returncode == 0:
            assert_same_files(self.whole.path, out)
            self.finished += 1
            return True
        assert process.returncode == -signal.SIGKILL
        self.kills += 1
        return False


def test_two_kills(tmp_path):
    killing = Killing(tmp_path, seed=1)
    reasons = (killing.whole.path / "skipped.csv").read_text()
    assert "max_radius" in reasons
    assert len(killing.whole) > 50
    out = tmp_path / "out"
    for _ in range(2):
        killing.attempt(out)
    assert killing.kills == 2
    config = SHARE.replace(max_radius=7.0)
    build_store([killing.file], out, config, resume=True, **SKIP)
    assert_same_files(killing.whole.path, out)


@pytest.mark.long
def test_twenty_kills(tmp_path):
    killing = Killing(tmp_path, seed=2)
    for _ in range(100):
        killing.attempt(tmp_path / f"out{killing.finished}")
        if killing.kills >= 20 and killing.finished > 0:
            break
    assert killing.kills >= 20
    assert killing.finished > 0
