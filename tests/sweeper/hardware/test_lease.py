"""A device's lease, with real processes and real locks."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.contract.errors import UserError
from sweeper.hardware.lease import LeaseHeldError, describe_process, holder_of, take_lease

ROOT = Path(__file__).parents[3]
# Takes the lease, has a child inherit it, tells both pids and waits to be killed; the child ends with its input.
OWNER = """
import os, subprocess, sys, time
from sweeper.hardware.lease import take_lease
descriptor = take_lease(sys.argv[1])
child = subprocess.Popen([sys.executable, "-c", "input()"], pass_fds=(descriptor,))
print(child.pid, flush=True)
time.sleep(100)
"""


@pytest.fixture
def node(tmp_path: Path) -> str:
    path = tmp_path / "nvidia0"
    path.touch()
    return str(path)


def n_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_lease_is_refused_with_the_name_of_its_holder_until_the_last_heir_is_gone(node: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, node], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert owner.stdout is not None
    child_pid = int(owner.stdout.readline())
    with pytest.raises(LeaseHeldError, match=rf"^held by pid {owner.pid} \(.+: python"):
        take_lease(node)
    owner.kill()
    owner.wait()
    # Whoever inherited it holds it on, and the kernel still knows who took it.
    with pytest.raises(LeaseHeldError, match=r"^held by (another sweep|pid \d+)$"):
        take_lease(node)
    owner.communicate()  # the end of the child's input
    os.close(_soon(node))
    assert not Path(f"/proc/{child_pid}/cwd").exists()


def _soon(node: str) -> int:
    deadline = time.monotonic() + 10.0
    while True:
        try:
            return take_lease(node)
        except LeaseHeldError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_refused_lease_leaves_no_open_file(node: str) -> None:
    held = take_lease(node)
    before = n_open_files()
    with pytest.raises(LeaseHeldError):
        take_lease(node)
    assert n_open_files() == before
    os.close(held)
    os.close(take_lease(node))


def test_different_devices_are_leased_apart(node: str, tmp_path: Path) -> None:
    other = tmp_path / "nvidia1"
    other.touch()
    descriptors = [take_lease(node), take_lease(str(other))]
    assert [holder_of(descriptor) for descriptor in descriptors] == [os.getpid()] * 2
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_lease_is_inherited_by_no_program_that_is_merely_started(node: str) -> None:
    descriptor = take_lease(node)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_a_device_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"GPU in {tmp_path}/nvidia7: cannot be leased \(No such file"):
        take_lease(str(tmp_path / "nvidia7"))


def test_a_link_is_not_followed(node: str, tmp_path: Path) -> None:
    link = tmp_path / "nvidia9"
    link.symlink_to(node)
    with pytest.raises(UserError, match="symbolic link"):
        take_lease(str(link))


def test_the_holder_is_found_among_all_locks_that_the_kernel_lists(node: str, tmp_path: Path) -> None:
    descriptor = os.open(node, os.O_RDONLY)
    status = os.fstat(descriptor)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = tmp_path / "locks"
    listed = [
        f"1: POSIX  ADVISORY  WRITE 11 {place} 0 EOF",
        "2: FLOCK  ADVISORY  WRITE 12 00:05:131 0 EOF",
        f"2: -> FLOCK  ADVISORY  WRITE 13 {place} 0 EOF",
        f"3: FLOCK  ADVISORY  WRITE 14 {place} 0 EOF",
    ]
    locks.write_text("\n".join(listed) + "\n")
    assert holder_of(descriptor, locks) == 14
    locks.write_text(listed[3].replace(" 14 ", " 0 ") + "\n")  # of another container
    assert holder_of(descriptor, locks) is None
    assert holder_of(descriptor, tmp_path / "nothing") is None
    os.close(descriptor)


def test_a_process_is_told_by_user_and_command_and_without_its_paths() -> None:
    told = describe_process(os.getpid())
    assert re.fullmatch(rf"pid {os.getpid()} \([^/]+: [^/]+\)", told)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert describe_process(gone.pid) == f"pid {gone.pid}"
