"""``detsweep evaluate``: looks at a split once more with what was trained, and says what it measures."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from runners.contract.coco import read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.metrics import AP_NAMES, Split, metric
from runners.contract.yamlfile import load_yaml
from sweeper.runs.addresses import find_run
from sweeper.runs.checkpoint_subject import is_checkpoint, subject_of_checkpoint
from sweeper.runs.evaluation import Evaluated, evaluate_split
from sweeper.runs.evaluation_log import log_evaluation
from sweeper.runs.subject import Subject, subject_of
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import MACHINE_SETTINGS, RunWords, read_run_words, workplace

SETTINGS = {**MACHINE_SETTINGS, "split": "", "tta": "", "name": "", "again": "false", "log": "true"}


def run_evaluate(words: Sequence[str]) -> int:
    """Carry ``detsweep evaluate RUN|CHECKPOINT [KEY=VALUE ...]`` out.

    Raises:
        UserError: the run, the checkpoint, the data or a word is wrong; or the process failed.
    """
    told = read_run_words("evaluate", words, SETTINGS, has_overrides=True)
    if len(told.names) != 1:
        raise UserError(f"run in {told.line}: {len(told.names)} given; name one run or checkpoint")
    split = told.split("val")
    assert split is not None
    tta, again, should_log = told.tta, told.truth("again"), told.truth("log")
    console = open_console()
    subject, overrides = find_subject(told.names[0], told)
    with workplace(told, console, f"evaluating {subject.title} on {split}") as place:
        done = evaluate_split(subject, split, tta, overrides, place, name=plain_name(told), again=again)
    _print(subject, split, done, console)
    _write_submission(subject, split, done, console)
    console.print(Text(f"wrote {done.folder.path}"), soft_wrap=True)
    if should_log:
        folder = done.folder
        files = [folder.spec, folder.config, folder.metrics, folder.detections, folder.log, folder.submission]
        say_problem(log_evaluation(subject, done, files), console)
    return 0


def find_subject(name: str, told: RunWords) -> tuple[Subject, Sequence[str]]:
    """Return the detector that is meant, and the overrides that are left for its evaluation.

    Raises:
        UserError: there is none, or its config cannot be composed.
    """
    if is_checkpoint(name):
        return subject_of_checkpoint(name, told.overrides, told.place), ()
    return subject_of(find_run(name, told.place), told.settings["trust_plugins"]), told.overrides


def plain_name(told: RunWords) -> str:
    """Return the name that is asked for; empty for none.

    Raises:
        UserError: it cannot be that of a folder.
    """
    name = told.settings["name"]
    if name and (not all(character.isalnum() or character in "_-." for character in name) or name.startswith(".")):
        raise UserError(f"name in name={name}: letters, digits and the signs _ - . are allowed")
    return name


def say_problem(line: str, console: Console) -> None:
    """Print a line if there is one."""
    if line:
        console.print(Text(line), soft_wrap=True)


def _print(subject: Subject, split: Split, done: Evaluated, console: Console) -> None:
    result = done.result
    if not done.is_new:
        console.print(Text(f"evaluated before, shown as stored (again=true measures again): {done.folder.path}"))
    for note in result.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    if not result.metrics:
        console.print(Text(f"{result.n_detections} detections in {result.n_images} images; no labels to score them by"))
        return
    from reports.evaluation_table import evaluation_table
    from reports.terminal import terminal_table

    columns = [(done.folder.name, result.metrics)]
    # Of train only a fixed subset is scored when a job ends: other images, other numbers.
    if split != "train" and any(metric(split, name) in subject.stored for name in AP_NAMES):
        columns.insert(0, ("as trained" if _is_same_data(subject, split, done) else f"own {split}", subject.stored))
    classes = subject.config["dataset"]["classes"]
    console.print(terminal_table(evaluation_table(subject.title, split, columns, classes)))


def _is_same_data(subject: Subject, split: Split, done: Evaluated) -> bool:
    config = load_yaml(done.folder.config.read_text(encoding="utf-8"))
    return split_files(config["dataset"], split) == split_files(subject.config["dataset"], split)


def _write_submission(subject: Subject, split: Split, done: Evaluated, console: Console) -> None:
    """Write the competition file of a test split, which is what such a split is predicted for."""
    if split != "test":
        return
    from reports.submission import write_detections

    config = load_yaml(done.folder.config.read_text(encoding="utf-8"))
    files = split_files(config["dataset"], split)
    assert files is not None  # it has just been looked at
    detections = json.loads(done.folder.detections.read_text(encoding="utf-8"))
    coco, classes = read_coco(files.ann_file, files.setting), config["dataset"]["classes"]
    written = write_detections(detections, coco, classes, done.folder.submission, done.folder.detections)
    console.print(Text(f"wrote {written.csv}"), soft_wrap=True)
