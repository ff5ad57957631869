"""Which checkpoints a job has to go on from, told from names and digests alone.

Beside a full state ``a1_epoch_3.pth`` stands ``a1_epoch_3.pth.sha256``, in the format of ``sha256sum``: a line for the
best weights that the state refers to, if there are any, and at the end a line for the state itself. A state counts
when every file listed is there with its digest; a torn file, or a kill between the two, leaves the next older one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runners.contract.digest import sha256_of
from runners.contract.folder import AttemptFolder, JobFolder
from runners.contract.jsonfile import write_text
from runners.contract.records import AttemptSpec

DIGEST_SUFFIX = ".sha256"

_STATE_NAME = re.compile(r"a(\d+)_epoch_(\d+)(?:_iter_(\d+))?\.pth")
_DIGEST_LINE = re.compile(r"([0-9a-f]{64})  ([\w.]+)")


@dataclass(frozen=True)
class StateFile:
    """A full state of training.

    Attributes:
        path: where it is.
        attempt: the attempt that wrote it.
        n_epochs_done: complete epochs.
        iteration: iterations done, where the state lies between two epochs' ends; else None.
    """

    path: Path
    attempt: int
    n_epochs_done: int
    iteration: int | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        within = "" if self.iteration is None else f"_iter_{self.iteration}"
        return f"a{self.attempt}_epoch_{self.n_epochs_done}{within}.pth"

    @classmethod
    def named(cls, path: Path) -> "StateFile | None":
        """Read a path's last part; None where it is no state's name."""
        match = _STATE_NAME.fullmatch(path.name)
        if match is None:
            return None
        attempt, epoch, iteration = match.groups()
        return cls(path, int(attempt), int(epoch), None if iteration is None else int(iteration))


@dataclass(frozen=True)
class ResumePoint:
    """What a job can go on from.

    Attributes:
        state: the newest valid state; None where the job has to begin anew.
        passed_over: names of newer states that are incomplete, newest first; worth a warning.
    """

    state: StateFile | None
    passed_over: tuple[str, ...] = ()

    @property
    def spec_value(self) -> str | None:
        """What `AttemptSpec.resume` wants: the path relative to the job's folder."""
        return None if self.state is None else f"{self.state.path.parent.name}/{self.state.path.name}"


def all_states(job: JobFolder) -> list[StateFile]:
    """Return the full states there are, valid or not, newest first: a later attempt's before an earlier one's."""
    if not job.checkpoints.is_dir():
        return []
    states = [state for path in job.checkpoints.iterdir() if (state := StateFile.named(path)) is not None]
    return sorted(states, key=lambda state: (state.attempt, state.n_epochs_done, state.iteration or 0), reverse=True)


def find_resume_point(job: JobFolder, split: tuple[int, int] | None = None) -> ResumePoint:
    """Return the newest valid state of a job; reads each file that it considers, and loads none.

    Args:
        job: the job.
        split: images per step and accumulation of the attempt that is to go on. A state that was saved with another
            split, or with one that nobody knows any more, counts only where it lies at an epoch's end. None: as it was.
    """
    passed_over: list[str] = []
    for state in all_states(job):
        if split is not None and state.iteration is not None and saved_split(job, state) != split:
            continue
        if is_valid(state.path):
            return ResumePoint(state, tuple(passed_over))
        passed_over.append(state.path.name)
    return ResumePoint(None, tuple(passed_over))


def saved_split(job: JobFolder, state: StateFile) -> tuple[int, int] | None:
    """Return images per step and accumulation of the attempt that saved a state; None where its spec is gone."""
    try:
        spec = AttemptSpec.read(AttemptFolder(job.attempts / str(state.attempt)))
    except (OSError, ValueError, TypeError):
        return None
    return spec.batch_per_step, spec.accumulation


def is_valid(path: Path) -> bool:
    """Whether a state and the best weights that it refers to are there as they were written."""
    digests = read_digests(path)
    return bool(digests) and all(
        (path.parent / name).is_file() and sha256_of(path.parent / name) == digest for name, digest in digests.items()
    )


def write_digests(path: Path, digests: Mapping[str, str]) -> None:
    """Write what a state consists of, in one piece; with this it counts.

    Args:
        path: the state, complete on disk.
        digests: file name to hex digest of the state, and of the best weights if there are any.
    """
    # The state's own line comes last: it is missing wherever the list was cut.
    names = [name for name in digests if name != path.name] + [path.name]
    write_text(_digest_path(path), "".join(f"{digests[name]}  {name}\n" for name in names))


def read_digests(path: Path) -> dict[str, str]:
    """Return the digests by file name of what a state consists of; empty where they are missing or torn."""
    try:
        text = _digest_path(path).read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    matches = [_DIGEST_LINE.fullmatch(line) for line in text.splitlines()]
    digests = {match[2]: match[1] for match in matches if match is not None}
    is_whole = text.endswith(f"  {path.name}\n") and len(digests) == len(matches)
    return digests if is_whole else {}


def files_of(path: Path) -> set[Path]:
    """Return the files that going on from a state takes: itself, its digests, the best weights it refers to."""
    return {path, _digest_path(path), *(path.parent / name for name in read_digests(path))}


def drop_states(job: JobFolder) -> None:
    """Remove the full states of a job that nobody goes on with; the best weights stay, and so do its numbers."""
    for state in all_states(job):
        # The digests first: a state without them counts for nothing, wherever this is broken off.
        _digest_path(state.path).unlink(missing_ok=True)
        state.path.unlink(missing_ok=True)


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + DIGEST_SUFFIX)
