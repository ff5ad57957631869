"""Every command of the command line: what it is called, what it does, and an example. Help and completion read this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

JSON = ("--json", "one JSON object on stdout, and nothing else")
SWEEP = ("SWEEP", "id, name or folder of a sweep; the newest without it")
OUTPUT_DIR = ("output_dir=FOLDER", "where sweeps are looked for (outputs)")
JOB = ("JOB", "number of a job, 7 or 0007")
STORE = ("tracking.uri=URI", "the tracking store, if it is not the sweep's own")
DETACH = ("--detach", "run in the background, in a session of its own: the terminal may be closed")


@dataclass(frozen=True)
class Verb:
    """One command.

    Attributes:
        usage: what stands behind its name.
        summary: what it does, in one line.
        words: (word, meaning) of everything it takes.
        examples: command lines, without ``detsweep``.
        runs: module and function that carry it out; empty for those that are Hydra's.
        more: what else is worth knowing, lines.
    """

    usage: str
    summary: str
    words: Sequence[tuple[str, str]]
    examples: Sequence[str]
    runs: tuple[str, str] = ("", "")
    more: Sequence[str] = ()

    @property
    def is_hydras(self) -> bool:
        """Whether Hydra reads what stands behind it."""
        return not self.runs[0]

    @property
    def flags(self) -> list[str]:
        """The flags it takes."""
        return [word for word, _ in self.words if word.startswith("--")]

    @property
    def takes_sweep(self) -> bool:
        """Whether it is about a sweep that has been started."""
        return SWEEP in self.words


VERBS: Mapping[str, Verb] = {
    "train": Verb(
        "[--detach] [GROUP=OPTION ...] [KEY=VALUE ...]",
        "train every combination; a comma makes an axis",
        [DETACH],
        ["train dataset.root=data backbone=resnet50,resnet101", "train --detach recipe=faster_rcnn_backbones"],
    ),
    "plan": Verb(
        "[--json] [GROUP=OPTION ...] [KEY=VALUE ...]",
        "print the jobs and what they will take, start nothing",
        [JSON],
        ["plan dataset.root=data backbone=resnet50,resnet101"],
    ),
    "check": Verb(
        "[GROUP=OPTION ...] [KEY=VALUE ...]",
        "compose every job, check the data, take one step with every distinct model",
        [],
        ["check dataset.root=data backbone=resnet50,swin_t"],
    ),
    "status": Verb(
        "[SWEEP] [--all] [--json]",
        "where a sweep stands, from any terminal",
        [SWEEP, ("--all", "every job, where the table would leave some out"), JSON, OUTPUT_DIR],
        ["status", "status backbone --json"],
        ("sweeper.verbs.status", "run_status"),
    ),
    "attach": Verb(
        "[SWEEP]",
        "the live table of a sweep that runs elsewhere; Ctrl-C leaves the table, not the sweep",
        [SWEEP, OUTPUT_DIR],
        ["attach"],
        ("sweeper.verbs.attach", "run_attach"),
        ["Ends with the sweep, and with its exit code."],
    ),
    "ls": Verb(
        "[--json]",
        "the sweeps there are, the newest last",
        [JSON, OUTPUT_DIR],
        ["ls", "ls output_dir=runs"],
        ("sweeper.verbs.listing", "run_ls"),
    ),
    "stop": Verb(
        "[SWEEP] [JOB ...]",
        "let a running sweep save and end, or cancel some of its jobs",
        [SWEEP, ("JOB", "number of a job that is cancelled: it stays so, unless retry is asked for"), OUTPUT_DIR],
        ["stop", "stop backbone 7"],
        ("sweeper.verbs.request_verbs", "run_stop"),
    ),
    "pause": Verb(
        "[SWEEP] [JOB ...]",
        "let a running sweep, or some of its jobs, save and wait; devices become free",
        [SWEEP, JOB, OUTPUT_DIR],
        ["pause", "pause backbone 7"],
        ("sweeper.verbs.request_verbs", "run_pause"),
        ["detsweep resume goes on with a sweep that is on hold."],
    ),
    "resume": Verb(
        "[--detach] [SWEEP] [KEY=VALUE ...]",
        "go on with a sweep, whatever ended it or holds it",
        [
            DETACH,
            SWEEP,
            ("KEY=VALUE", "gpus, jobs_per_gpu, n_workers, tracking.uri ... as they are to be from now on"),
            ("accept_change=true", "although data, configs or versions have changed"),
            OUTPUT_DIR,
        ],
        ["resume", "resume --detach backbone gpus=1"],
        ("sweeper.verbs.resume", "run_resume"),
    ),
    "retry": Verb(
        "[SWEEP] [JOB ...] [--failed]",
        "try failed or cancelled jobs again",
        [SWEEP, JOB, ("--failed", "all that have failed"), OUTPUT_DIR],
        ["retry --failed", "retry backbone 7"],
        ("sweeper.verbs.request_verbs", "run_retry"),
        ["A sweep that nobody runs is resumed with them."],
    ),
    "next": Verb(
        "[SWEEP] JOB ...",
        "move jobs to the front of the queue of a running sweep",
        [SWEEP, JOB, OUTPUT_DIR],
        ["next 12", "next backbone 12 13"],
        ("sweeper.verbs.request_verbs", "run_next"),
    ),
    "add": Verb(
        "[SWEEP] KEY=VALUE,VALUE ...",
        "add jobs to a sweep: an axis of its command, made longer",
        [SWEEP, ("KEY=VALUE,VALUE", "the whole axis, old values and new; the rest of the command stays"), OUTPUT_DIR],
        ["add backbone=resnet50,resnet101,swin_t"],
        ("sweeper.verbs.request_verbs", "run_add"),
        ["Jobs that it has are left as they are. A sweep that nobody runs is resumed with the new ones."],
    ),
    "gpus": Verb(
        "[SWEEP] -N|+N ...",
        "give GPUs of a running sweep back, or take them again",
        [SWEEP, ("-N", "give GPU N back; its job saves and goes on elsewhere"), ("+N", "take GPU N again"), OUTPUT_DIR],
        ["gpus -1", "gpus backbone +1"],
        ("sweeper.verbs.request_verbs", "run_gpus"),
    ),
    "report": Verb(
        "[SWEEP | submission RUN] [KEY=VALUE ...]",
        "print and write the tables of a sweep, or a run's competition files",
        [
            SWEEP,
            ("submission RUN", "write the competition CSV and COCO results of a run's test predictions"),
            ("tracking.experiment=NAME", "a whole MLflow experiment instead of a sweep"),
            STORE,
            OUTPUT_DIR,
        ],
        ["report", "report tracking.experiment=detsweep", "report submission 3"],
        ("sweeper.verbs.report", "run_report"),
    ),
    "verify": Verb(
        "[SWEEP] [--json]",
        "check that nothing of a sweep is lost, doubled or half done",
        [
            SWEEP,
            JSON,
            ("--rebuild-journal", "write a damaged journal anew from the job folders"),
            STORE,
            OUTPUT_DIR,
        ],
        ["verify"],
        ("sweeper.verification.verify", "run_verify"),
    ),
    "sync": Verb(
        "[SWEEP]",
        "ship what the tracking store has not received of a sweep",
        [SWEEP, STORE, OUTPUT_DIR],
        ["sync", "sync tracking.uri=http://host:5000"],
        ("sweeper.verbs.sync", "run_sync"),
    ),
    "clean": Verb(
        "[SWEEP] [--yes] [--json]",
        "show what can be deleted, and how much it is; delete it with --yes",
        [
            ("SWEEP", "id, name or folder of a sweep; all of the output folder without it"),
            ("--yes", "delete"),
            JSON,
            OUTPUT_DIR,
        ],
        ["clean", "clean backbone --yes"],
        ("sweeper.verbs.clean", "run_clean"),
        ["Never the best weights, numbers or logs of a job that is done, and nothing of a sweep that runs."],
    ),
    "completion": Verb(
        "bash|zsh|fish",
        "print the script that lets a shell complete all this",
        [],
        ["completion bash >> ~/.bashrc"],
        ("sweeper.verbs.completion", "run_completion"),
        ['In this shell only: eval "$(detsweep completion bash)"'],
    ),
}

_HEAD = "detsweep: sweeps over object detectors, ended by a comparison."
_SECTIONS = (
    ("start", ("train", "plan", "check")),
    ("look", ("status", "attach", "ls", "report", "verify")),
    ("change", ("stop", "pause", "resume", "retry", "next", "add", "gpus")),
    ("look after", ("sync", "clean", "completion")),
)
_TAIL = """\
detsweep VERB --help tells more. Data of your own: detsweep train dataset.root=FOLDER (images/, train.json, val.json,
test.json in COCO format). Groups and their options: detsweep train --help.
A job's whole config: detsweep train --cfg job OVERRIDE ...
"""


def usage() -> str:
    """Return what ``detsweep --help`` prints."""
    width = max(map(len, VERBS))
    lines = [_HEAD, ""]
    for title, names in _SECTIONS:
        lines += [f"{title}:", *(f"  {name:<{width}}  {VERBS[name].summary}" for name in names), ""]
    return "\n".join(lines) + "\n" + _TAIL


def verb_help(name: str) -> str:
    """Return what ``detsweep VERB --help`` prints, of a verb that is not Hydra's."""
    verb = VERBS[name]
    lines = [f"detsweep {name} {verb.usage}", "", f"{verb.summary[0].upper()}{verb.summary[1:]}.", *verb.more]
    if verb.words:
        width = max(len(word) for word, _ in verb.words)
        lines += ["", *(f"  {word:<{width}}  {meaning}" for word, meaning in verb.words)]
    lines += ["", "for example:", *(f"  detsweep {example}" for example in verb.examples)]
    return "\n".join(lines)
