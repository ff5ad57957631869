"""Promise 13: the looks of a sweep that adds seeds until it is decided are those that were planned, and no others.

A look more than was planned, or one in the middle of a round of jobs, finds differences that are not there.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from runners.contract.hypothesis import LOOKS
from runners.contract.looks import LOOK
from sweeper.verification.evidence import JournalLine, SweepEvidence
from sweeper.verification.invariants import Violation, at, is_terminal

_NUMBER = 13


def check_looks(evidence: SweepEvidence) -> Iterator[Violation]:
    """13: looks are taken in their order, each of jobs that have all ended, and none after a final one."""
    taken: list[Mapping[str, Any]] = []
    # What the next look sees: the jobs of the plan, and those that the looks before it have asked for.
    seen: set[str] = set()
    has_ended: set[str] = set()
    for line in evidence.lines:
        if line.job and is_terminal(line.state):
            # A job that a user has tried again since had ended all the same when the look began.
            has_ended.add(line.job)
        if line.kind == "planned" and line.job and not taken:
            seen.add(line.job)
        look = line.event.get(LOOK) if line.kind == "requested" else None
        if look is None:
            continue
        if taken and look["n_seeds"] == taken[-1]["n_seeds"]:
            yield from _check_again(line, taken[-1])
            continue
        yield from _check_one(line, taken, seen - has_ended)
        taken.append(look)
        seen |= {str(job["id"]) for job in line.event.get("jobs", ())}
    last = evidence.lines[-1] if evidence.lines else None
    is_done = last is not None and last.kind == "sweep_ended" and last.event["exit_code"] in (0, 1)
    if evidence.has_looks and last is not None and is_done and not (taken and taken[-1]["is_final"]):
        told = f"after the look at {taken[-1]['n_seeds']} seeds" if taken else "without a look"
        yield Violation(_NUMBER, at(last), f"the sweep ended {told}, and the next was still to come")


def _check_again(line: JournalLine, before: Mapping[str, Any]) -> Iterator[Violation]:
    """Check a look that is written down again: a controller was killed before it had carried out what it asks for."""
    if dict(line.event[LOOK]) != dict(before):
        told = f"the look at {before['n_seeds']} seeds is written down again, and says something else"
        yield Violation(_NUMBER, at(line), told)


def _check_one(line: JournalLine, taken: list[Mapping[str, Any]], open_jobs: set[str]) -> Iterator[Violation]:
    look = line.event[LOOK]
    told = f"the look at {look['n_seeds']} seeds"
    if taken and taken[-1]["is_final"]:
        yield Violation(_NUMBER, at(line), f"{told} is taken after a final one at {taken[-1]['n_seeds']}")
    elif len(taken) == len(LOOKS) or look["n_seeds"] != LOOKS[len(taken)]:
        planned = f"{LOOKS[len(taken)]} was the next" if len(taken) < len(LOOKS) else "none was left"
        yield Violation(_NUMBER, at(line), f"{told} was not planned: {planned}")
    if open_jobs:
        yield Violation(_NUMBER, at(line), f"{told} is taken before job {', '.join(sorted(open_jobs))} had ended")
    new = [str(job["id"]) for job in line.event.get("jobs", ())]
    if look["is_final"] and new:
        yield Violation(_NUMBER, at(line), f"{told} is final, and adds job {', '.join(new)}")
