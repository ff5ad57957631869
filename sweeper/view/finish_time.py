"""When a sweep will be done: what its jobs are expected to take, corrected by what they took, over all places."""

import heapq
from statistics import median

from runners.contract.states import JobState
from sweeper.view.job_view import JobView
from sweeper.view.search_standing import trials_of
from sweeper.view.sweep_view import SweepView

# Below this share an attempt has not shown its pace yet.
MIN_SHARE = 0.02
# The first jobs decide little, the last ones what the machine is like today.
N_NEWEST = 50


def time_left_s(job: JobView, now: float, factor: float = 1.0, typical_s: float = 0.0) -> float | None:
    """Return how long a job still trains; None where nothing tells.

    Args:
        job: in any state that is not terminal.
        now: wall-clock seconds since the epoch.
        factor: what jobs of this sweep took over what was expected of them.
        typical_s: what a job of this sweep takes, for want of an expectation.
    """
    if job.state is JobState.RUNNING:
        pace = whole_by_pace_s(job)
        if pace is not None:
            return max(0.0, pace * (1.0 - job.done) - (now - job.told_at))
    whole_s = job.expected_s * factor or typical_s
    if not whole_s:
        return None
    if job.state is JobState.RUNNING and job.started_at is not None and job.done <= MIN_SHARE:
        return max(0.0, whole_s - (now - job.started_at))
    return whole_s * (1.0 - job.done)


def whole_by_pace_s(job: JobView) -> float | None:
    """Return how long a whole training takes at the pace of a running attempt; None before it has shown one."""
    if job.done_at_start is None:
        return None
    done_before, since = job.done_at_start
    gained = job.done - done_before
    return (job.told_at - since) / gained if gained > MIN_SHARE else None


def correction(view: SweepView) -> tuple[float, float]:
    """Return (factor, typical seconds): the median of taken over expected of completed jobs, and of what they took.

    Before the first has completed, those that run stand in for them.
    """
    completed = [job for job in list(view.jobs.values()) if job.state is JobState.COMPLETED and job.spent_s > 0]
    newest = sorted(completed, key=lambda job: job.ended_at or 0.0)[-N_NEWEST:]
    ratios = [job.spent_s / job.expected_s for job in newest if job.expected_s > 0]
    taken = [job.spent_s for job in newest]
    if not newest:
        paces = [(job, whole_by_pace_s(job)) for job in list(view.jobs.values()) if job.state is JobState.RUNNING]
        taken = [pace for _, pace in paces if pace]
        ratios = [pace / job.expected_s for job, pace in paces if pace and job.expected_s > 0]
    return median(ratios) if ratios else 1.0, median(taken) if taken else 0.0


def work_left_s(view: SweepView, now: float) -> float | None:
    """Return the seconds until the last job is done, longest first; None where a job's time cannot be told.

    Of a search it is the most that is left: every trial that may still be asked for, or waits at a rung, is trained to
    its end.
    """
    factor, typical_s = correction(view)
    running: list[tuple[float, int]] = []
    waiting: list[tuple[float, int]] = []
    for job in list(view.jobs.values()):
        if job.state.is_terminal:
            continue
        left_s = time_left_s(job, now, factor, typical_s)
        if left_s is None:
            return None
        places = job.n_devices if job.n_devices > 1 else 1
        (running if job.state is JobState.RUNNING else waiting).append((left_s, places))
    n_to_come = jobs_to_come(view)
    if n_to_come:
        whole_s = _longest_s(view, factor, typical_s)
        if whole_s is None:
            return None
        waiting += [(whole_s, max((job.n_devices for job in list(view.jobs.values())), default=1))] * n_to_come
    n_places = max(view.n_places(), sum(places for _, places in running))
    busy = [left_s for left_s, places in running for _ in range(places)]
    free_at = busy + [0.0] * (n_places - len(busy))
    heapq.heapify(free_at)
    last = max(free_at, default=0.0)
    for left_s, places in sorted(waiting, reverse=True):
        # A job on several devices begins when the last of them is free.
        start = max(heapq.heappop(free_at) for _ in range(min(places, n_places)))
        for _ in range(min(places, n_places)):
            heapq.heappush(free_at, start + left_s)
        last = max(last, start + left_s)
    return last


def jobs_to_come(view: SweepView) -> int:
    """Return how many jobs a search may still ask for, those of its confirmation among them."""
    search = view.search
    if search is None or view.has_asked_all:
        return 0
    n_trials = max(0, search.n_trials - len(trials_of(view)))
    return n_trials + search.confirm * (search.n_candidates + 1)


def ends_early(view: SweepView) -> bool:
    """Whether a search may be done before all that it may train is trained."""
    search = view.search
    if search is None:
        return False
    may_stop = search.target is not None or search.timeout_s is not None or search.max_failures is not None
    is_pruning = search.prunes and any(not job.state.is_terminal for job in trials_of(view))
    return is_pruning or (not view.has_asked_all and (search.prunes or may_stop))


def _longest_s(view: SweepView, factor: float, typical_s: float) -> float | None:
    """Return how long a trial that nobody knows yet takes at most: as the longest of those that are known."""
    return max((job.expected_s * factor for job in trials_of(view)), default=0.0) or typical_s or None
