"""Durations, sizes and the words of other people in one line of a terminal."""

from datetime import datetime

import pytest

from sweeper.view.wording import count, duration, one_line, size, time_of_day


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-3.0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3569.0, "59 min"),
        (3599.0, "1 h 00 min"),
        (4800.0, "1 h 20 min"),
        (86399.0, "1 d 0 h"),
        (183600.0, "2 d 3 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;window title\x07b", "ab"),
        ("two\r\nlines\t", "two lines"),
        ("\x9b2J", " 2J"),
        ("abc\u202edcba", "abc dcba"),
        ("half a \ud800 character", "half a   character"),
        ("  kept indent, 废纸箱, क्षि", "  kept indent, 废纸箱, क्षि"),
    ],
)
def test_foreign_text_cannot_move_the_cursor(text: str, told: str) -> None:
    assert one_line(text) == told


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (140e6, "140 MB"), (2.94e9, "2.9 GB"), (3e12, "3.0 TB")],
)
def test_a_size_is_decimal(n_bytes: float, told: str) -> None:
    assert size(n_bytes) == told


def test_a_moment_is_named_by_what_tells_it_apart() -> None:
    now = datetime(2026, 11, 18, 12, 0).timestamp()
    assert time_of_day(now + 3600, now) == "13:00"
    assert time_of_day(now + 86400, now) == "Thu 12:00"
    assert time_of_day(now - 30 * 86400, now) == "2026-10-19 12:00"


def test_one_is_no_plural() -> None:
    assert (count(1, "job"), count(2, "job")) == ("1 job", "2 jobs")
