"""What is known of one job at this moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runners.contract.states import JobState
from runners.contract.trials import Trial


@dataclass
class JobView:
    """What is known about a job.

    Attributes:
        job_id: its number in the sweep.
        title: what people call it.
        values: axis to value.
        state: where it stands.
        slot: label of the slot it holds, empty if none.
        attempt: number of its newest attempt, 0 before the first.
        phase: what its process does (``build``, ``train``, ``val``, ...).
        epoch: the epoch it is in, from 1.
        validated: the epoch after which val was measured last, from 1.
        n_epochs: of the whole training.
        done: share of the planned iterations, 0-1.
        loss: the newest training loss.
        ap50: the newest val AP50, 0-1; of a finished job that of the chosen epoch.
        memory_gb: measured peak of a device's memory (on a CPU of the process), in 1e9 bytes.
        expected_memory_gb: what the plan expects; 0 unknown.
        expected_s: how long a whole training is expected to take; 0 unknown.
        n_devices: whole devices it occupies if it is more than one.
        started_at: when its newest attempt was started, wall-clock seconds since the epoch.
        ended_at: when that attempt ended.
        spent_s: seconds of attempts that have ended.
        done_at_start: share that was done when the newest attempt told of itself first, and when it did so.
        told_at: when it told of itself last.
        reason: why it is in its state, if something is to be said about it.
        trial: which point of a search it trains, or repeats; None of a sweep that is no search.
        decided: what a search decided about it last (``pause``, ``promote``, ``prune``); empty if nothing.
        decision: why.
        has_gone_on: a search let it go on from a rung at which it rested.
        measured: the newest value of each metric that the sweep's search is after or has a limit on.
        kind: class of its last failure.
        batch_per_step: images in one forward pass of its newest attempt.
        is_halved: trained with half the images per forward pass, after device memory was short.
        is_resumed: its newest attempt went on from a checkpoint.
        reused_from: the job folder that holds its numbers, of a REUSED job.
        is_looked_into: its numbers have been read from its folder.
    """

    job_id: str
    title: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    state: JobState = JobState.PLANNED
    slot: str = ""
    attempt: int = 0
    phase: str = ""
    epoch: int = 0
    validated: int = 0
    n_epochs: int = 0
    done: float = 0.0
    loss: float | None = None
    ap50: float | None = None
    memory_gb: float | None = None
    expected_memory_gb: float = 0.0
    expected_s: float = 0.0
    n_devices: int = 1
    started_at: float | None = None
    ended_at: float | None = None
    spent_s: float = 0.0
    done_at_start: tuple[float, float] | None = None
    told_at: float = 0.0
    reason: str = ""
    trial: Trial | None = None
    decided: str = ""
    decision: str = ""
    has_gone_on: bool = False
    measured: dict[str, float] = field(default_factory=dict)
    kind: str | None = None
    batch_per_step: int = 0
    is_halved: bool = False
    is_resumed: bool = False
    reused_from: str = ""
    is_looked_into: bool = False

    @property
    def rests(self) -> bool:
        """Whether it waits at a rung of a search, to go on or to be given up, and not because the sweep was stopped."""
        return self.state is JobState.PAUSED and self.decided in ("pause", "prune")

    @property
    def reached(self) -> int:
        """The epoch that is shown: the one it is in, from 1; of a trial that was judged and stands that one."""
        return self.validated if self.rests or self.state is JobState.PRUNED else self.epoch

    @property
    def remark(self) -> str:
        """Whatever is out of the ordinary about it, in a few words."""
        if self.reused_from:
            return "trained by an earlier sweep"
        if self.has_gone_on:
            return "went on from a rung"
        return f"attempt {self.attempt}, {'resumed' if self.is_resumed else 'anew'}" if self.attempt > 1 else ""
