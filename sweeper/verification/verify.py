"""``detsweep verify``: whether a sweep kept every promise, by its journal, its folders and its tracking store."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from sweeper.control.stored_sweep import asked_sweep
from sweeper.stored.sweep_file import read_sweep_file
from sweeper.tracking.tracking_store import tracking_settings
from sweeper.verbs.report import open_console
from sweeper.verification.evidence import SweepEvidence, find_living, read_evidence
from sweeper.verification.invariants import (
    Violation,
    check_idempotence,
    check_numbers,
    check_overlap,
    check_reasons_to_end,
    check_states,
)
from sweeper.verification.journal_rebuild import rebuild_journal
from sweeper.verification.look_invariants import check_looks
from sweeper.verification.retry_invariants import check_retries, uncounted_retries
from sweeper.verification.stored_invariants import (
    check_completed,
    check_left_behind,
    check_points,
    check_resumable,
    check_runs,
    check_stored,
)

# A job whose controller was killed saves and goes within its server's grace.
WAIT_S = 20.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Invariant:
    """A promise.

    Attributes:
        number: as users know it.
        title: what it says.
        check: finds what breaks it.
        needs: what has to be there for it to be checked: the tracking store, or that nobody works on the sweep.
    """

    number: int
    title: str
    check: Callable[[SweepEvidence], Iterator[Violation]]
    needs: tuple[str, ...] = ()


STORE, REST = "the tracking store", "rest"
INVARIANTS = (
    Invariant(1, "every job reaches one final state and stays there", check_states),
    Invariant(2, "one live attempt for a job, one job for a share of a device", check_overlap),
    Invariant(3, "attempt numbers only grow, and every write carries its own", check_numbers),
    Invariant(4, "a completed job has its result and its checkpoint, and never runs again", check_completed),
    Invariant(5, "a finished sweep that is resumed starts nothing", check_idempotence),
    Invariant(6, "a job that is to go on has a whole checkpoint to go on from", check_resumable),
    Invariant(7, "every job was stored before it started", check_stored),
    Invariant(8, "journal and tracking store agree on runs and states", check_runs, (STORE, REST)),
    Invariant(9, "the tracking store has every recorded value once", check_points, (STORE,)),
    Invariant(10, "no job, store or screen stopped another job", check_reasons_to_end),
    Invariant(11, "retries are bounded and have a cause that a retry can mend", check_retries),
    Invariant(12, "no process was left behind", check_left_behind, (REST,)),
    Invariant(13, "looks at a hypothesis are those that were planned", check_looks),
)


@dataclass(frozen=True)
class Verdict:
    """What a look at a sweep has found.

    Attributes:
        violations: what must not be.
        skipped: number of each invariant that was not checked, and why.
        notes: worth knowing, and in order.
    """

    violations: Sequence[Violation]
    skipped: Mapping[int, str]
    notes: Sequence[str]


def run_verify(words: Sequence[str]) -> int:
    """Carry ``detsweep verify [SWEEP] [--json] [--rebuild-journal]`` out.

    Returns:
        0 if every invariant holds, as far as it can be checked now; 1 if one is violated.

    Raises:
        UserError: no such sweep, a word that is unknown, or a journal that cannot be read.
    """
    flags = [word for word in words if word.startswith("-")]
    unknown = [flag for flag in flags if flag not in ("--json", "--rebuild-journal")]
    sweep, settings = asked_sweep("verify", [word for word in words if word not in flags])
    if unknown or any(not setting.startswith("tracking.uri=") for setting in settings):
        told = ", ".join([*unknown, *settings])
        raise UserError(f"no option {told} in detsweep verify; options are --json, --rebuild-journal, tracking.uri=")
    console = open_console()
    if "--rebuild-journal" in flags:
        for line in rebuild_journal(sweep):
            console.print(Text(line), soft_wrap=True)
        return 0
    verdict = verify(sweep, settings[-1].partition("=")[2] if settings else None)
    if "--json" in flags:
        print(json.dumps(_as_json(sweep, verdict), ensure_ascii=False, indent=1))
    else:
        _print(sweep, verdict, console)
    return 1 if verdict.violations else 0


def verify(sweep: SweepFolder, tracking_uri: str | None = None) -> Verdict:
    """Check a sweep.

    Args:
        sweep: its folder.
        tracking_uri: the store, if it is another than the sweep's settings name.

    Raises:
        UserError: its journal or its ``sweep.yaml`` cannot be read.
    """
    evidence = _when_quiet(read_evidence(sweep))
    missing = _missing(evidence)
    if STORE not in missing:
        evidence, reason = _with_runs(sweep, evidence, tracking_uri)
        missing |= {STORE: reason} if reason else {}
    return judge(evidence, missing)


def judge(evidence: SweepEvidence, missing: Mapping[str, str]) -> Verdict:
    """Check what can be checked.

    Args:
        evidence: of the sweep.
        missing: why something is not there that an invariant needs.
    """
    violations: list[Violation] = []
    skipped: dict[int, str] = {}
    for invariant in INVARIANTS:
        reasons = [missing[needed] for needed in invariant.needs if needed in missing]
        if reasons:
            skipped[invariant.number] = reasons[0]
        else:
            violations += invariant.check(evidence)
    notes = uncounted_retries(evidence)
    if evidence.waiting_runs and evidence.runs is not None and not evidence.is_owned:
        told = ", ".join(evidence.waiting_runs)
        notes.append(f"the tracking store has not received everything of job {told}; ship it with detsweep sync")
    if evidence.is_elsewhere:
        notes.append("the newest controller was started on another machine; its processes are not seen from here")
    return Verdict(violations, skipped, notes)


def _when_quiet(evidence: SweepEvidence) -> SweepEvidence:
    """Wait for what is on its way out."""
    deadline = time.monotonic() + WAIT_S
    while evidence.living and not evidence.is_owned and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        evidence = replace(evidence, living=find_living(evidence.lines))
    return evidence


def _missing(evidence: SweepEvidence) -> dict[str, str]:
    missing: dict[str, str] = {}
    last = evidence.lines[-1].kind if evidence.lines else "nothing"
    if evidence.is_owned:
        missing[REST] = "the sweep is at work"
    elif last != "sweep_ended" and evidence.lines:
        told = "its controller ended without a last word; detsweep resume or detsweep sync first"
        missing[STORE] = told
    return missing


def _with_runs(
    sweep: SweepFolder, evidence: SweepEvidence, tracking_uri: str | None
) -> tuple[SweepEvidence, str | None]:
    """Return the evidence with the tracking store's part, or why there is none."""
    from reports.read import Experiment, read_stored_runs

    settings = read_sweep_file(sweep)["settings"]["tracking"]
    store = tracking_settings({**settings, "uri": tracking_uri or settings["uri"]}, sweep.path.parent)
    if store.uri is None or evidence.is_check:
        return evidence, "tracking=off" if store.uri is None else "checks are not tracked"
    if not evidence.lines:
        return evidence, "nothing was started"
    try:
        runs = read_stored_runs(Experiment(store.experiment, store.uri), sweep.sweep_id)
    except UserError as error:
        return evidence, str(error)
    return replace(evidence, runs=runs), None


def _print(sweep: SweepFolder, verdict: Verdict, console: Console) -> None:
    console.print(Text(f"sweep {sweep.path}"), soft_wrap=True)
    for invariant in INVARIANTS:
        found = [violation for violation in verdict.violations if violation.invariant == invariant.number]
        reason = verdict.skipped.get(invariant.number)
        word = f"not checked: {reason}" if reason else "VIOLATED" if found else "holds"
        console.print(Text(f"{invariant.number:>2} {invariant.title}: {word}"), soft_wrap=True)
        for violation in found:
            console.print(Text(f"   {violation.where}: {violation.message}"), soft_wrap=True)
    for note in verdict.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    n = len(verdict.violations)
    n_checked = len(INVARIANTS) - len(verdict.skipped)
    told = f"{n_checked} of {len(INVARIANTS)} promises checked, "
    told += "all of them hold" if not n else f"{n} violation{'' if n == 1 else 's'}"
    console.print(Text(told), soft_wrap=True)


def _as_json(sweep: SweepFolder, verdict: Verdict) -> dict[str, Any]:
    return {
        "sweep": str(sweep.path),
        "holds": not verdict.violations,
        "invariants": {str(invariant.number): invariant.title for invariant in INVARIANTS},
        "violations": [asdict(violation) for violation in verdict.violations],
        "not_checked": {str(number): reason for number, reason in verdict.skipped.items()},
        "notes": list(verdict.notes),
    }
