"""``detsweep doctor``: what is wrong on this machine and in this folder, a line each, with what to do."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from sweeper.doctor.finding import Finding, Grade, problem
from sweeper.doctor.gpus import examine_gpus
from sweeper.doctor.project_lines import examine_project
from sweeper.doctor.software import examine_software
from sweeper.doctor.stack import ask_stack, examine_stack
from sweeper.doctor.storage import examine_disk, examine_locks, examine_shared_memory, examine_weights
from sweeper.doctor.store import examine_store
from sweeper.hardware.devices import query_gpus
from sweeper.hardware.slots import Device
from sweeper.project.places import find_places
from sweeper.project.project import find_project, local_settings
from sweeper.verbs.report import open_console
from sweeper.verbs.words import did_you_mean
from sweeper.view.wording import count, one_line

KEYS = ("output_dir", "tracking.uri", "tracking.experiment", "n_workers")
STYLES = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.PROBLEM: "bold red"}
GRADE_WIDTH, SUBJECT_WIDTH = 9, 15
WAITING = "asking PyTorch and MMDetection, which take ten seconds and more to be imported ..."


def run_doctor(words: Sequence[str]) -> int:
    """Carry ``detsweep doctor [--json] [KEY=VALUE ...]`` out.

    Returns:
        0 if nothing is in the way of a sweep, 1 otherwise.

    Raises:
        UserError: a word that it does not know.
    """
    is_json, said = _read_words(words)
    console = open_console()
    findings = []
    for finding in _examine(said, None if is_json else console):
        findings.append(finding)
        if not is_json:
            _print(finding, console)
    n_problems, n_warnings = (
        sum(finding.grade is grade for finding in findings) for grade in (Grade.PROBLEM, Grade.WARNING)
    )
    if is_json:
        print(json.dumps({"findings": [_plain(finding) for finding in findings]}, ensure_ascii=False))
    else:
        console.print()
        console.print(Text(f"{count(n_problems, 'problem')}, {count(n_warnings, 'warning')}"))
    return 1 if n_problems else 0


def _examine(said: Mapping[str, str], console: Console | None) -> Iterator[Finding]:
    """Yield what is found; what PyTorch has to be asked comes last, and is asked meanwhile."""
    yield from examine_software()
    yield from examine_project()
    devices: Sequence[Device] = []
    try:
        devices = query_gpus()
    except UserError as error:
        yield problem("GPU", "; ".join(error.problems), "nvidia-smi tells whether the driver answers")
    with ask_stack([device.uuid for device in devices if device.uuid]) as question:
        try:
            yield from _examine_places(said, devices)
        except UserError as error:
            yield problem("settings", "; ".join(error.problems), "mend that file")
        with contextlib.ExitStack() as waiting:
            if console is not None and console.is_terminal:
                waiting.enter_context(console.status(WAITING))
            answer = question.answer()
    yield from examine_stack(answer)
    yield from examine_gpus(devices, answer)


def _examine_places(said: Mapping[str, str], devices: Sequence[Device]) -> Iterator[Finding]:
    places = find_places()
    output_dir = Path(said["output_dir"]).absolute() if "output_dir" in said else places.output_dir
    yield examine_disk(output_dir)
    yield examine_locks(output_dir)
    n_workers = said.get("n_workers") or local_settings(find_project()).get("n_workers")
    yield examine_shared_memory(None if n_workers is None else int(n_workers), len(devices))
    uri = said.get("tracking.uri") or places.uri or f"sqlite:///{output_dir / 'mlflow.db'}"
    yield examine_store(uri, said.get("tracking.experiment") or places.experiment)
    yield examine_weights()


def _print(finding: Finding, console: Console) -> None:
    line = Text.assemble(
        (f"{finding.grade.value:<{GRADE_WIDTH}}", STYLES[finding.grade]),
        (f"{finding.subject:<{SUBJECT_WIDTH}}", "bold"),
        one_line(finding.text),
    )
    console.print(line, soft_wrap=True)
    if finding.advice:
        indent = " " * (GRADE_WIDTH + SUBJECT_WIDTH)
        console.print(Text(f"{indent}-> {one_line(finding.advice)}"), soft_wrap=True)


def _plain(finding: Finding) -> dict[str, str | None]:
    return {
        "subject": finding.subject,
        "grade": finding.grade.value,
        "text": finding.text,
        "advice": finding.advice or None,
    }


def _read_words(words: Sequence[str]) -> tuple[bool, Mapping[str, str]]:
    said: dict[str, str] = {}
    where = " ".join(["detsweep doctor", *words])
    for word in words:
        key, separator, value = word.partition("=")
        if word == "--json":
            continue
        if not separator or key not in KEYS:
            raise UserError(
                f"no word '{key}' in {where}{did_you_mean(key, KEYS)}; it takes --json and {', '.join(KEYS)}"
            )
        said[key] = value
    if not said.get("n_workers", "0").isdigit():
        raise UserError(f"value out of range in n_workers: {said['n_workers']}; a whole number from 0")
    return "--json" in words, said
