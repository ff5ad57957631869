"""What the end of an attempt means for its job: done, tried again, or failed. One table of the causes, and no clock."""

from dataclasses import asdict, dataclass, replace

from runners.contract.states import AttemptOutcome, FailureKind, JobState

# A job whose process vanished is tried again; the third loss is taken for its own fault.
MAX_LOSSES = 3


@dataclass(frozen=True)
class Tries:
    """What went wrong with a job so far, of what counts against it.

    Attributes:
        n_losses: processes that vanished, and device errors.
        n_ooms: device memory was short; with one, half the images go through the model at a time.
        n_host_ooms: killed by the kernel for want of host memory.
        n_stalls: no iteration was done for too long.
    """

    n_losses: int = 0
    n_ooms: int = 0
    n_host_ooms: int = 0
    n_stalls: int = 0

    def counts(self) -> dict[str, int]:
        """Return what is not zero, as the journal keeps it."""
        return {name: number for name, number in asdict(self).items() if number}


@dataclass(frozen=True)
class AttemptEnded:
    """An attempt is over, however it ended.

    Attributes:
        job_id: the job.
        outcome: how.
        kind: why, if it failed; OOM with a lost attempt: the kernel ended it for want of host memory.
        can_halve: whether its forward pass can be split once more.
        is_own_fault: False where the attempt was lost with its controller, its server or the machine.
    """

    job_id: str
    outcome: AttemptOutcome
    kind: FailureKind | None = None
    can_halve: bool = False
    is_own_fault: bool = True


@dataclass(frozen=True)
class Aftermath:
    """What an attempt's end means.

    Attributes:
        state: of the job from now on.
        tries: what counts against it from now on.
        is_device_error: the device may be broken.
        stops_sweep: nothing more can be started (disk full).
    """

    state: JobState
    tries: Tries
    is_device_error: bool = False
    stops_sweep: bool = False


_DONE = {AttemptOutcome.COMPLETED: JobState.COMPLETED, AttemptOutcome.PRUNED: JobState.PRUNED}


def judge_end(
    event: AttemptEnded,
    tries: Tries,
    max_losses: int = MAX_LOSSES,
    is_cancelled: bool = False,
    is_stopped: bool = False,
    is_pruned: bool = False,
) -> Aftermath:
    """Return what an attempt's end means for its job.

    Args:
        event: how it ended.
        tries: what counted against the job before.
        max_losses: the loss of that number fails it.
        is_cancelled: a user wanted the job to end for good.
        is_stopped: it was told to stop; an end without a result is then no loss.
        is_pruned: it was not worth going on with; however it ended, nobody goes on with it.
    """
    if event.outcome in _DONE:
        return Aftermath(_DONE[event.outcome], tries)
    if is_cancelled:
        return Aftermath(JobState.CANCELLED, tries)
    if is_pruned:
        return Aftermath(JobState.PRUNED, tries)
    is_lost = event.outcome is AttemptOutcome.LOST
    if event.outcome is AttemptOutcome.INTERRUPTED or (is_lost and (is_stopped or not event.is_own_fault)):
        return Aftermath(JobState.PAUSED, tries)
    if event.outcome is AttemptOutcome.STALLED:
        return _again(replace(tries, n_stalls=tries.n_stalls + 1), tries.n_stalls < 1)
    if is_lost and event.kind is FailureKind.OOM:
        return _again(replace(tries, n_host_ooms=tries.n_host_ooms + 1), tries.n_host_ooms < 1)
    if is_lost or event.kind in (FailureKind.LOST, FailureKind.DEVICE):
        counted = replace(tries, n_losses=tries.n_losses + 1)
        return replace(_again(counted, counted.n_losses < max_losses), is_device_error=event.kind is FailureKind.DEVICE)
    if event.kind is FailureKind.DISK:
        return Aftermath(JobState.PAUSED, tries, stops_sweep=True)
    if event.kind is FailureKind.OOM:
        return _again(replace(tries, n_ooms=tries.n_ooms + 1), tries.n_ooms < 1 and event.can_halve)
    return Aftermath(JobState.FAILED, tries)


def _again(tries: Tries, has_a_try: bool) -> Aftermath:
    return Aftermath(JobState.PAUSED if has_a_try else JobState.FAILED, tries)
