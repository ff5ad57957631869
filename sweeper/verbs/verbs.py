"""Every command of the command line: what it is called, what it does, and an example. Help and completion read this."""

from collections.abc import Mapping

from sweeper.verbs.project_verbs import PROJECT_VERBS
from sweeper.verbs.run_verbs import RUN_VERBS
from sweeper.verbs.sweep_verbs import SWEEP_VERBS
from sweeper.verbs.verb import Verb

VERBS: Mapping[str, Verb] = {**SWEEP_VERBS, **RUN_VERBS, **PROJECT_VERBS}

_HEAD = "detsweep: sweeps over object detectors, ended by a comparison."
_SECTIONS = (
    ("start", ("init", "options", "train", "plan", "check")),
    ("look", ("status", "attach", "ls", "report", "view", "ui", "verify")),
    ("change", ("stop", "pause", "resume", "retry", "next", "add", "gpus")),
    ("use", ("evaluate", "predict", "ensemble")),
    ("in and out", ("import", "note", "export", "study")),
    ("look after", ("doctor", "sync", "clean", "completion")),
)
_TAIL = """\
detsweep VERB --help tells more. Data of your own: detsweep train dataset.root=FOLDER (images/, train.json, val.json,
test.json in COCO format). Groups and their options: detsweep options.
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
