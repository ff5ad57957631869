"""What other terminals ask lies in files, one for each wish, in the order in which it was asked."""

import os
from pathlib import Path

import pytest

from runners.contract.folder import SweepFolder
from sweeper.stored.requests import OPS, ask, drop_request, read_requests


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path)


def test_nothing_was_asked_of_a_sweep_without_a_folder_for_it(sweep: SweepFolder) -> None:
    assert read_requests(sweep) == []


def test_wishes_come_back_oldest_first_until_they_are_dropped(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([1002.5, 1002.25, 1001.0])
    monkeypatch.setattr("time.time", lambda: next(times))
    ask(sweep, "next", job="0003")
    ask(sweep, "gpus", minus=[1], plus=[])
    ask(sweep, "stop")
    found = read_requests(sweep)
    assert [(request.asked_at, request.op, request.job) for request in found] == [
        (1001.0, "stop", None),
        (1002.25, "gpus", None),
        (1002.5, "next", "0003"),
    ]
    assert found[1].arguments == {"minus": [1], "plus": []}
    drop_request(sweep, found[0])
    drop_request(sweep, found[0])
    assert read_requests(sweep) == found[1:]


def test_two_wishes_of_one_moment_are_both_kept(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    for _ in range(20):
        ask(sweep, "next", job="0001")
    assert len({request.name for request in read_requests(sweep)}) == 20


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1000.0-ab.json", ""),
        ("1000.0-ab.json", '{"op": "sto'),
        ("1000.0-ab.json", '["stop"]'),
        ("1000.0-ab.json", '{"op": "stop"}'),
        ("1000.0-ab.json", '{"op": "stop", "arguments": 7}'),
        ("1000.0-ab.json", '{"op": "dance", "arguments": {}}'),
        ("1000.0-ab.json", '{"op": "stop", "arguments": {"event": "sweep_ended"}}'),
        ("1000.0-ab.json", b"\xff\xfe"),
        ("2026.json", '{"op": "stop", "arguments": {}}'),
        ("1000.0-ab.json.tmp", '{"op": "stop", "arguments": {}}'),
        (".1000.0-ab.json.17.tmp", '{"op": "stop", "arguments": {}}'),
    ],
)
def test_a_file_that_is_no_request_is_left_alone(sweep: SweepFolder, name: str, content: str | bytes) -> None:
    sweep.requests.mkdir()
    (sweep.requests / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    ask(sweep, "pause")
    assert [request.op for request in read_requests(sweep)] == ["pause"]
    assert (sweep.requests / name).exists()


def test_a_file_that_may_not_be_read_is_left_alone(sweep: SweepFolder) -> None:
    (sweep.requests / "1000.0-ab.json").mkdir(parents=True)
    assert read_requests(sweep) == []


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o700, 0o600), (0o2770, 0o660)])
def test_whoever_may_use_the_sweep_may_read_what_was_asked(
    sweep: SweepFolder, folder_mode: int, file_mode: int
) -> None:
    sweep.path.chmod(folder_mode)
    before = os.umask(0o077)
    try:
        ask(sweep, "stop")
    finally:
        os.umask(before)
    (request,) = read_requests(sweep)
    assert (sweep.requests / request.name).stat().st_mode & 0o777 == file_mode


def test_every_op_can_be_asked_for(sweep: SweepFolder) -> None:
    for op in OPS:
        ask(sweep, op)
    assert sorted(request.op for request in read_requests(sweep)) == sorted(OPS)
