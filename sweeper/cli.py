"""The command line: ``detsweep VERB ...``. The verb is taken off, the rest is Hydra's, and a mistake is one line."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from runners.contract.errors import UserError

SWEEP_VERBS = ("train", "check", "plan")
VERBS = (*SWEEP_VERBS, "resume", "sync", "report")

USAGE = """\
detsweep: sweeps over object detectors, ended by a comparison.

  detsweep train [OVERRIDE ...]    train every combination; a comma makes an axis: backbone=resnet50,resnet101
  detsweep resume [SWEEP]          go on with a sweep that was stopped or killed (default: the newest)
  detsweep plan [OVERRIDE ...]     print the jobs, start nothing
  detsweep check [OVERRIDE ...]    compose every job, check the data, take one step with every distinct model
  detsweep sync [SWEEP]            ship what the tracking store has not received of a sweep
  detsweep report [SWEEP]          print and write the tables of a sweep (default: the newest), or of a whole MLflow
                                   experiment: tracking.experiment=NAME
  detsweep report submission RUN   write the competition CSV and COCO results of a run's test predictions

Data of your own: detsweep train dataset.root=FOLDER (images/, train.json, val.json, test.json in COCO format).
Groups and their options: detsweep train --help. A job's whole config: detsweep train --cfg job OVERRIDE ...
"""

# Flags with which Hydra only shows something; everything else is a multirun, with or without -m.
SHOWING_FLAGS = (
    "--cfg",
    "-c",
    "--help",
    "-h",
    "--hydra-help",
    "--info",
    "-i",
    "--version",
    "--shell-completion",
    "-sc",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the words behind ``detsweep``; those of the process by default.

    Returns:
        0 all done · 1 finished with failed jobs · 2 refused, nothing started · 3 resumable · 4 owned by another ·
        128 + signal.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verb = words[0] if words else "--help"
    if verb in ("--help", "-h", "help"):
        print(USAGE, end="")
        return 0
    try:
        if verb in SWEEP_VERBS:
            return _run_hydra(verb, words[1:])
        if verb == "report":
            from sweeper.report import run_report

            return run_report(words[1:])
        if verb == "sync":
            from sweeper.sync import run_sync

            return run_sync(words[1:])
        if verb == "resume":
            from sweeper.resume import run_resume

            return run_resume(words[1:])
        raise UserError(f"no command '{verb}' in detsweep {' '.join(words)}; commands are {', '.join(VERBS)}")
    except UserError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return error.exit_code
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1 if leave.code else 0


def _run_hydra(verb: str, words: Sequence[str]) -> int:
    import hydra

    import conf
    from sweeper.compose import COMPOSITION_ERRORS, explain
    from sweeper.resolvers import register

    register()
    conf_dir = Path(conf.__file__).parent
    words = [_one_value(word) for word in words]
    shows = any(word.partition("=")[0] in SHOWING_FLAGS for word in words)
    overrides = [word for word in words if word not in ("-m", "--multirun")]
    hydra_words = words if shows else ["--multirun", f"hydra.sweeper.verb={verb}", *overrides]
    before = (sys.argv, os.environ.get("HYDRA_FULL_ERROR"))
    # Only with this does hydra.main hand its exceptions to us instead of printing ten lines and leaving with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = ["detsweep", *hydra_words]
    entry: Callable[[], None] = hydra.main(version_base="1.3", config_path=str(conf_dir), config_name="config")(
        _nothing
    )
    try:
        entry()
    except COMPOSITION_ERRORS as error:
        raise explain(error, conf_dir, words) from error
    finally:
        sys.argv = before[0]
        if before[1] is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
    return 0


def _nothing(cfg: object) -> None:
    """Stand where Hydra wants a function; our sweeper does not call it."""


def _one_value(word: str) -> str:
    """Quote ``gpus=0,1``: a list of devices is one setting and never an axis."""
    key, separator, value = word.partition("=")
    return f"{key}='{value}'" if key == "gpus" and separator and "," in value and value[0] not in "'\"" else word
