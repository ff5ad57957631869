"""A failpoint ends the process that is meant, at the time that is meant, and no other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runners.contract.failpoints import EXIT_STATUS, FAILPOINTS, VARIABLE, failpoint

ROOT = Path(__file__).parents[2]
PASSES = """
from runners.contract.failpoints import enter_attempt_process, failpoint
if {attempt}:
    enter_attempt_process({attempt})
for number in (1, 2, 3):
    print(number, flush=True)
    failpoint("json.rename.before")
"""


def run(setting: str, attempt: int | None) -> tuple[int, list[str]]:
    environment = {**os.environ, VARIABLE: setting}
    shown = subprocess.run(
        [sys.executable, "-c", PASSES.format(attempt=attempt)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    return shown.returncode, shown.stdout.split()


@pytest.mark.parametrize(
    ("setting", "attempt", "status", "n_passed"),
    [
        ("json.rename.before", None, EXIT_STATUS, 1),
        ("json.rename.before:2", None, EXIT_STATUS, 2),
        ("json.rename.before:4", None, 0, 3),
        ("json.rename.after", None, 0, 3),
        ("json.rename.before", 1, 0, 3),  # meant for a controller
        ("json.rename.before@1", None, 0, 3),  # meant for a job
        ("json.rename.before:3@2", 2, EXIT_STATUS, 3),
        ("json.rename.before:3@2", 1, 0, 3),  # meant for a later attempt
    ],
)
def test_the_process_that_is_meant_ends_at_the_pass_that_is_meant(
    setting: str, attempt: int | None, status: int, n_passed: int
) -> None:
    assert run(setting, attempt) == (status, [str(number + 1) for number in range(n_passed)])


def test_a_name_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no failpoint 'nowhere'; there are journal\.append\.before, "):
        failpoint("nowhere")
    monkeypatch.setenv(VARIABLE, "nowhere:2")
    with pytest.raises(ValueError, match=f"no failpoint in {VARIABLE}=nowhere:2"):
        failpoint("json.rename.before")


def test_every_failpoint_is_passed_somewhere_and_every_place_is_in_the_table() -> None:
    sources = [path for package in ("runners", "sweeper") for path in (ROOT / package).rglob("*.py")]
    called = {name for path in sources for name in re.findall(r'\bfailpoint\("([^"]+)"\)', path.read_text("utf-8"))}
    assert called == set(FAILPOINTS)
