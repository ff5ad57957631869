"""A sweep's folder as a controller leaves it, written by hand: what looks on is tested on this."""

from pathlib import Path
from typing import Any

import yaml

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import AttemptResult, MetricRecord
from runners.contract.states import AttemptOutcome
from sweeper.stored.journal import Journal


class WrittenSweep:
    """A sweep of jobs that vary in their seed.

    Args:
        output_dir: where its folder is made.
        sweep_id: its name.
        n_jobs: how many jobs are planned.
        settings: of its ``sweep.yaml``.
    """

    def __init__(
        self, output_dir: Path, sweep_id: str = "20260101-000000_seed_ab12", n_jobs: int = 3, **settings: Any
    ) -> None:
        self.folder = SweepFolder(output_dir / sweep_id)
        self.folder.jobs.mkdir(parents=True)
        self.command = ["detsweep", "train", "seed=" + ",".join(map(str, range(n_jobs)))]
        self.folder.sweep.write_text(yaml.safe_dump({"id": sweep_id, "command": self.command, "settings": settings}))
        self.journal = Journal(self.folder.journal, clock=self._tick)
        self._now = 1_000_000.0
        self.tell("sweep_started", pid=4711, host="elsewhere", command=self.command, mode="train")
        self.tell("device_opened", device="cpu", name="cpu", n_shares=1)
        for number in range(1, n_jobs + 1):
            told = {"title": f"title {number}", "values": {"seed": str(number)}, "expected_s": 60.0}
            self.tell("planned", job=f"{number:04d}", state="PLANNED", **told)

    def _tick(self) -> float:
        self._now += 1.0
        return self._now

    def tell(self, event: str, **fields: Any) -> None:
        """Append an event; each is a second later than the one before."""
        self.journal.append(event, **fields)

    def start(self, job_id: str, number: int = 1) -> AttemptFolder:
        """Start an attempt, and let it tell of one epoch."""
        told = {"slot": "cpu/0", "resume": None, "batch_per_step": 4, "accumulation": 1, "state": "RUNNING"}
        self.tell("started", job=job_id, attempt=number, **told)
        attempt = AttemptFolder(self.folder.job(job_id).attempts / str(number))
        attempt.path.mkdir(parents=True)
        attempt.log.write_text("first line\nlast line\n")
        values = {"train/loss": 0.5, "val/bbox_mAP_50": 0.4}
        progress = {"phase": "train", "epoch": 1, "n_epochs": 2, "iteration": 5, "n_iterations": 10}
        MetricRecord(self._now, number, 1, values, progress).append(attempt)
        return attempt

    def end(self, job_id: str, state: str = "COMPLETED", reason: str | None = None) -> None:
        """End the attempt; a completed one leaves its result and its best weights."""
        if state == "COMPLETED":
            checkpoints = self.folder.job(job_id).checkpoints
            checkpoints.mkdir(exist_ok=True)
            (checkpoints / "a1_best.pth").write_bytes(b"best")
            attempt = AttemptFolder(self.folder.job(job_id).attempts / "1")
            metrics = {"best/val/bbox_mAP_50": 0.6, "cost/peak_host_gb": 1.5}
            AttemptResult(1, AttemptOutcome.COMPLETED, metrics=metrics, checkpoint="checkpoints/a1_best.pth").write(
                attempt
            )
        outcome = "completed" if state == "COMPLETED" else "failed"
        told = {"outcome": outcome, "kind": None, "reason": reason, "checkpoint_sha256": None, "counted": False}
        self.tell("ended", job=job_id, attempt=1, state=state, **told)

    def run(self, job_id: str, state: str = "COMPLETED", reason: str | None = None) -> None:
        """Start a job and end it."""
        self.start(job_id)
        self.end(job_id, state, reason)

    def close(self, exit_code: int | None = None) -> None:
        """Let the controller go; without an exit code it was killed."""
        if exit_code is not None:
            self.tell("sweep_ended", exit_code=exit_code)
        self.journal.close()
