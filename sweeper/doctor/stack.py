"""The questions that only PyTorch can answer, put to a process of `runners` that is started early and asked late."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import runners
from sweeper.doctor.finding import Finding, ok, problem

# A cold disk has taken a minute for what takes ten seconds otherwise.
PATIENCE_S = 240.0
MMCV = "mmcv"


@dataclass(frozen=True)
class StackAnswer:
    """What PyTorch's process said.

    Attributes:
        error: why it said nothing; empty if it did.
        content: of `runners.doctor`, if it did.
    """

    error: str
    content: Mapping[str, Any]

    def of_gpu(self, uuid: str) -> Mapping[str, Any]:
        """Return what was found about a GPU; nothing if it was not asked about."""
        found: Mapping[str, Any] = self.content.get("gpus", {}).get(uuid, {})
        return found


class StackQuestion:
    """The process that imports PyTorch and MMDetection, running.

    Args:
        process: `runners.doctor`.
        messages: what it says beside its answer.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", messages: IO[bytes]) -> None:
        self._process = process
        self._messages = messages

    def answer(self) -> StackAnswer:
        """Wait for the answer."""
        try:
            said, _ = self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            return StackAnswer(f"no answer within {PATIENCE_S:.0f} s", {})
        try:
            content = json.loads(said)
        except ValueError:
            self._messages.seek(0)
            lines = self._messages.read().decode("utf-8", "replace").strip().splitlines()
            return StackAnswer(lines[-1] if lines else f"ended with {self._process.returncode}", {})
        return StackAnswer(content.get("error", ""), content)


@contextmanager
def ask_stack(uuids: Sequence[str]) -> Iterator[StackQuestion]:
    """Start the process that answers; it does not outlive the context.

    Args:
        uuids: the GPUs that are to be tried.
    """
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            [sys.executable, "-m", "runners.doctor", *uuids],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=messages,
            # -m looks into the working directory first: it must be the folder of our own `runners`.
            cwd=Path(runners.__file__).parents[1],
        )
        try:
            yield StackQuestion(process, messages)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def examine_stack(answer: StackAnswer) -> list[Finding]:
    """Return a line about PyTorch, and one about mmcv's operators."""
    if answer.error:
        advice = "install detsweep anew into an empty environment; python -m runners.doctor shows all of it"
        return [problem("PyTorch", f"cannot be imported with MMDetection: {answer.error}", advice)]
    content = answer.content
    build = f"built for CUDA {content['cuda']}" if content["cuda"] else "built without CUDA"
    served = content["served"]
    if served is None:
        told = "compiled: it has all of its operators"
    else:
        told = f"without compiled operators; served here: {', '.join(_operators(served))}"
    return [ok("PyTorch", f"{content['torch']}, {build}; imports with MMDetection"), ok(MMCV, told)]


def _operators(served: Sequence[str]) -> list[str]:
    """Return operators by one name, though each direction of it is served by a function of its own."""
    names = (name.partition("_forward")[0].partition("_backward")[0] for name in served)
    return list(dict.fromkeys(names))
