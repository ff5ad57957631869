"""``python -m runners.evaluate <evaluation folder>``: look at data once more with a trained detector.

The folder holds ``spec.json`` and ``config.yaml``; detections, and ``metrics.json`` or ``failure.json``, are written
into it. Standard output gets a JSON line for each step: ``{"image": 3, "n_images": 50}``.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from runners.contract.digest import refuse_changed_checkpoint
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationSpec, write_failure
from runners.contract.folder import EvaluationFolder
from runners.contract.records import Failure
from runners.contract.states import FailureKind
from runners.process import append_output, die_with_parent

EXIT_FAILED = 1
EXIT_REFUSED = 2
# A person reads these: more often would only cost time.
_TELL_S = 0.2


def main() -> int:
    """Evaluate and return the exit code: 0 done, 1 failed, 2 refused for a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m runners.evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, help="an evaluation's folder, with its spec.json and config.yaml")
    parser.add_argument("--controller-pid", type=int, help="end with this process, which started this one")
    arguments = parser.parse_args()
    if arguments.controller_pid is not None:
        die_with_parent(arguments.controller_pid)
    # Whoever started it ends it with TERM; nothing is worth saving.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    folder = EvaluationFolder(arguments.folder.resolve())
    spec = EvaluationSpec.read(folder)
    os.umask(spec.umask)
    folder.failure.unlink(missing_ok=True)
    told = _Teller(os.dup(1))
    append_output(folder.log)
    return _evaluate(folder, spec, told)


def _evaluate(folder: EvaluationFolder, spec: EvaluationSpec, told: "_Teller") -> int:
    try:
        # Known before PyTorch is: nobody should wait ten seconds to be told that a file is gone.
        refuse_changed_checkpoint((folder.path / spec.checkpoint).resolve(), spec.checkpoint_sha256)
    except UserError as error:
        write_failure(folder, Failure(FailureKind.USER, "; ".join(error.problems)))
        return EXIT_REFUSED
    from runners.preload import preload

    preload()
    from runners.evaluate_job import evaluate_job
    from runners.failures import describe_failure

    try:
        evaluate_job(folder, spec, told.advance).write(folder)
    except Exception as error:
        failure = describe_failure(error, f"images one by one on {spec.device}")
        print(failure.traceback, file=sys.stderr)
        write_failure(folder, failure)
        return EXIT_REFUSED if failure.kind in (FailureKind.USER, FailureKind.DATA) else EXIT_FAILED
    return 0


class _Teller:
    """Writes how far it is to who started it; one who no longer reads is no reason to stop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._next_s = 0.0

    def advance(self, number: int, n_images: int) -> None:
        now = time.monotonic()
        if now < self._next_s and number < n_images:
            return
        self._next_s = now + _TELL_S
        line = json.dumps({"image": number, "n_images": n_images}) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            self._next_s = float("inf")


if __name__ == "__main__":
    sys.exit(main())
