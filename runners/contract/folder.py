"""The folders of a sweep: one class for each, one property for each path. Controller and job meet nowhere else."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AttemptFolder:
    """``jobs/0007/attempts/1``: one execution of a job."""

    path: Path

    @property
    def number(self) -> int:
        """The attempt's number, from 1."""
        return int(self.path.name)

    @property
    def job(self) -> "JobFolder":
        """The folder of the job that this attempt executes."""
        return JobFolder(self.path.parent.parent)

    @property
    def spec(self) -> Path:
        """Device, threads, batch split: written by whoever starts the attempt."""
        return self.path / "spec.json"

    @property
    def log(self) -> Path:
        """Everything the process printed."""
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        """Metric records, appended by the job."""
        return self.path / "metrics.jsonl"

    @property
    def stop(self) -> Path:
        """Written by the controller: the reason to stop (prune, interrupt, cancel)."""
        return self.path / "stop"

    @property
    def result(self) -> Path:
        """Written once by the job, when it ended in good order."""
        return self.path / "result.json"


@dataclass(frozen=True)
class JobFolder:
    """``jobs/0007``: one resolved config to train and all that came of it."""

    path: Path

    @property
    def job_id(self) -> str:
        """The job's number in its sweep, as a string of digits (``0007``)."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved config: everything about what to train."""
        return self.path / "config.yaml"

    @property
    def attempts(self) -> Path:
        """The folder of the attempts."""
        return self.path / "attempts"

    @property
    def checkpoints(self) -> Path:
        """Atomically saved checkpoints; names carry the attempt."""
        return self.path / "checkpoints"

    @property
    def predictions(self) -> Path:
        """COCO-format detections of val and test."""
        return self.path / "predictions"

    @property
    def evaluations(self) -> Path:
        """The folder of what was measured with the best checkpoint after the training."""
        return self.path / "evaluations"

    def evaluation(self, name: str) -> "EvaluationFolder":
        """Return the folder of one evaluation, ``test_flip``."""
        return EvaluationFolder(self.evaluations / name)

    def all_evaluations(self) -> "list[EvaluationFolder]":
        """Return the evaluations that are complete, by name."""
        if not self.evaluations.is_dir():
            return []
        folders = [EvaluationFolder(path) for path in sorted(self.evaluations.iterdir())]
        return [folder for folder in folders if folder.metrics.is_file()]

    @property
    def shipped(self) -> Path:
        """How far the records of each attempt have reached the tracking store."""
        return self.path / "shipped.json"

    @property
    def notes(self) -> Path:
        """What people have noted of the job; see `runners.contract.notes`."""
        return self.path / "notes.jsonl"

    @property
    def answer(self) -> Path:
        """Of a job that was not trained because an earlier run answers it: the numbers of that run."""
        return self.path / "answer.json"

    @property
    def imported(self) -> Path:
        """Of a job that was trained by others: where it comes from."""
        return self.path / "imported.json"

    @property
    def mmdet_config(self) -> Path:
        """The same config as MMDetection reads it."""
        return self.path / "config.py"

    def all_attempts(self) -> list[AttemptFolder]:
        """Return the attempts there are, oldest first."""
        if not self.attempts.is_dir():
            return []
        numbers = sorted(int(entry.name) for entry in self.attempts.iterdir() if entry.name.isdigit())
        return [AttemptFolder(self.attempts / str(number)) for number in numbers]

    def newest_attempt(self) -> AttemptFolder | None:
        """Return the attempt with the highest number, if there is one."""
        attempts = self.all_attempts()
        return attempts[-1] if attempts else None

    def take_attempt(self) -> AttemptFolder:
        """Make the folder of the next attempt; `mkdir` decides between two who ask at once."""
        self.attempts.mkdir(exist_ok=True)
        while True:
            newest = self.newest_attempt()
            attempt = AttemptFolder(self.attempts / str(newest.number + 1 if newest else 1))
            try:
                attempt.path.mkdir()
            except FileExistsError:
                continue
            return attempt


@dataclass(frozen=True)
class EvaluationFolder:
    """``jobs/0007/evaluations/test_flip``: a trained detector looked at data, or images, once more."""

    path: Path

    @property
    def name(self) -> str:
        """The split, and what was different: ``val``, ``test_flip``, ``val_multiscale_bccd``."""
        return self.path.name

    @property
    def job(self) -> "JobFolder":
        """The folder of the job whose checkpoint it is."""
        return JobFolder(self.path.parent.parent)

    @property
    def spec(self) -> Path:
        """Which checkpoint, which data, how: written before the process starts."""
        return self.path / "spec.json"

    @property
    def config(self) -> Path:
        """The resolved config of what is evaluated: the job's, with what was asked for laid over it."""
        return self.path / "config.yaml"

    @property
    def images(self) -> Path:
        """The images that were looked at and the categories, in COCO's format, where no annotation file has them."""
        return self.path / "images.json"

    @property
    def metrics(self) -> Path:
        """What was measured; written last, and only if all went well."""
        return self.path / "metrics.json"

    @property
    def failure(self) -> Path:
        """Why there is none of the above."""
        return self.path / "failure.json"

    @property
    def detections(self) -> Path:
        """COCO results, in original pixels and with the annotation file's own category ids."""
        return self.path / "detections.json"

    @property
    def log(self) -> Path:
        """Everything the process printed."""
        return self.path / "log.txt"

    @property
    def pictures(self) -> Path:
        """Images with the boxes drawn that were found in them."""
        return self.path / "pictures"

    @property
    def submission(self) -> Path:
        """The competition file, and COCO results beside it."""
        return self.path / "submission"

    @property
    def logged(self) -> Path:
        """Which run of the tracking store has received it; missing while none has."""
        return self.path / "logged.json"


@dataclass(frozen=True)
class SweepFolder:
    """``<output_dir>/<sweep id>``: one invocation."""

    path: Path

    @property
    def sweep_id(self) -> str:
        """UTC time, name and a random suffix."""
        return self.path.name

    @property
    def sweep(self) -> Path:
        """Command line, axes, jobs, settings, versions, data set fingerprint."""
        return self.path / "sweep.yaml"

    @property
    def journal(self) -> Path:
        """Append-only events; only the controller writes."""
        return self.path / "journal.jsonl"

    @property
    def requests(self) -> Path:
        """What other terminals ask of the controller."""
        return self.path / "requests"

    @property
    def report(self) -> Path:
        """The report and what it shows."""
        return self.path / "report"

    @property
    def jobs(self) -> Path:
        """The folder of the jobs."""
        return self.path / "jobs"

    def job(self, job_id: str) -> JobFolder:
        """Return the folder of one job."""
        return JobFolder(self.jobs / job_id)

    def all_jobs(self) -> list[JobFolder]:
        """Return the job folders there are, by number."""
        if not self.jobs.is_dir():
            return []
        numbered = [entry for entry in self.jobs.iterdir() if entry.name.isdigit()]
        return [JobFolder(entry) for entry in sorted(numbered, key=lambda entry: int(entry.name))]
