"""The line of waiting jobs is one line to whoever asks, however many needs there are in it."""

import random

from sweeper.control.packing import Need
from sweeper.control.waiting import Place, WaitingLine

SMALL, LARGE = Need(1, 3.0), Need(1, 30.0)


def test_the_first_is_the_first_of_all_needs_that_are_not_hopeless() -> None:
    line = WaitingLine()
    line.add(SMALL, (2, -5.0, 0, "0001"))
    line.add(LARGE, (2, -9.0, 1, "0002"))
    line.add(SMALL, (2, -7.0, 2, "0003"))
    assert line.first(set()) == (LARGE, (2, -9.0, 1, "0002"))
    assert line.first({LARGE}) == (SMALL, (2, -7.0, 2, "0003"))
    assert line.first({LARGE, SMALL}) is None
    assert line.jobs() == ["0002", "0003", "0001"]


def test_a_need_that_nobody_has_any_more_is_forgotten() -> None:
    line = WaitingLine()
    line.add(SMALL, (2, 0.0, 0, "0001"))
    line.add(LARGE, (2, 0.0, 1, "0002"))
    line.remove(LARGE, (2, 0.0, 1, "0002"))
    line.remove(LARGE, (2, 0.0, 1, "0002"))
    line.remove(SMALL, (2, 0.0, 9, "0009"))  # it never waited
    assert list(line.needs()) == [SMALL]
    assert line.jobs() == ["0001"]


def test_jobs_keep_their_order_whatever_comes_and_goes() -> None:
    rng = random.Random(3)
    line = WaitingLine()
    there: dict[Place, Need] = {}
    for number in range(300):
        place = (rng.randint(0, 2), -float(rng.randint(0, 5)), number, f"{number:04d}")
        there[place] = Need(1, float(rng.randint(0, 4)))
        line.add(there[place], place)
        if rng.random() < 0.4:
            gone = rng.choice(list(there))
            line.remove(there.pop(gone), gone)
    assert line.jobs() == [place[-1] for place in sorted(there)]
