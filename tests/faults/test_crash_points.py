"""Every file operation of a command fails, or is the last one of a killed process.

What was there before stays whole; the command, continued, ends with the bytes of one that was not
interrupted; and an error is one line that names the file. The short suite takes 50 points of four
commands, the long one (`-m long`) all points of most, and kills some of what continues again.
"""

import random
import sys

import pytest
from tests.faults.commands import CASES
from tests.faults.crash_points import Hang, count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/fd")
SHORT = {"featurize": 25, "screen": 10, "calibrate": 5, "train": 10}
SAMPLED = {"adapt": 400, "ensemble": 200, "transfer_head": 200}
"""Commands of many points, each of which takes long; the long suite takes all points of others."""
SEED = 0


def failures(replays, command: str, number: int, *, twice: bool = False) -> list[str]:
    """Try a seeded sample of the crash points of a command; return what went wrong."""
    found, points = replays(command), replays(command).points()
    chance = random.Random(SEED)
    wrong = []
    for point in chance.sample(points, min(number, len(points))):
        kill = chance.randrange(20) if twice and chance.random() < 0.25 else None
        try:
            outcome = found.check(point, killed_again_at=kill)
        except (AssertionError, Hang) as error:
            outcome = "WRONG"
            wrong.append(f"{str(error)[:1000]} [{point}]")
        count(point, outcome)
    return wrong


@pytest.mark.parametrize("command", SHORT)
def test_a_sample_of_crash_points(replays, command):
    assert not failures(replays, command, SHORT[command])


@pytest.mark.long
@pytest.mark.parametrize("command", CASES)
def test_many_crash_points(replays, command):
    assert not failures(replays, command, SAMPLED.get(command, sys.maxsize), twice=True)
