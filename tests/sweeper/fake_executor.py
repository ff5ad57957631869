"""Executors that start no process."""

from collections.abc import Callable, Mapping, Sequence

from runners.contract.folder import AttemptFolder
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.executors.base import Executor, ExecutorEvent, Exited, Started

Play = Callable[[AttemptFolder], int | None]
PID = 4711


class PlayedExecutor(Executor):
    """Calls a function per attempt; it returns the exit status, or None to live on until it is told to stop.

    Attributes:
        calls: what was asked of it, in order: (method, lease or job id).
        environments: of the attempts.
        leases: that the attempts inherited, in order.
        deaf: jobs that take no notice of TERM.
    """

    def __init__(self, play: Play) -> None:
        self.play = play
        self.events: list[ExecutorEvent] = []
        self.calls: list[tuple[str, str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.leases: list[Sequence[str]] = []
        self.deaf: set[str] = set()
        self.on_wait: Callable[[], None] = lambda: None

    def start(self, attempt: AttemptFolder, environment: Mapping[str, str], leases: Sequence[str] = ()) -> None:
        self.calls.append(("start", attempt.job.job_id))
        self.environments.append(environment)
        self.leases.append(leases)
        self.events.append(Started(attempt, PID))
        returncode = self.play(attempt)
        if returncode is not None:
            self.exit(attempt, returncode)

    def exit(self, attempt: AttemptFolder, returncode: int) -> None:
        """Let an attempt's process be gone."""
        self.events.append(Exited(attempt, returncode))

    def terminate(self, attempt: AttemptFolder) -> None:
        self.calls.append(("terminate", attempt.job.job_id))
        if attempt.job.job_id not in self.deaf:
            AttemptResult(attempt.number, AttemptOutcome.INTERRUPTED).write(attempt)
            self.exit(attempt, 3)

    def kill(self, attempt: AttemptFolder) -> None:
        self.calls.append(("kill", attempt.job.job_id))
        self.exit(attempt, -9)

    def dump(self, attempt: AttemptFolder) -> None:
        self.calls.append(("dump", attempt.job.job_id))

    def hold(self, lease: str, descriptor: int) -> None:
        self.calls.append(("hold", lease))

    def release(self, lease: str) -> None:
        self.calls.append(("release", lease))

    def wait(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        self.on_wait()
        events, self.events = self.events, []
        return events

    def close(self) -> None:
        self.calls.append(("close", ""))

    def asked(self, *methods: str) -> list[tuple[str, str]]:
        """Return what was asked by these methods, in order."""
        return [call for call in self.calls if call[0] in methods]
