"""Follows a sweep's folder without touching it: what is new in the journal and in the metrics of running attempts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from runners.contract.errors import UserError
from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.jsonfile import read_lines
from runners.contract.records import MetricRecord, read_metrics
from runners.contract.states import JobState
from runners.contract.trials import Trial
from runners.contract.yamlfile import YamlParts
from sweeper.stored.ownership import is_owned
from sweeper.view.search_standing import fill_search
from sweeper.view.sweep_view import SweepView

News = dict[str, Any] | tuple[str, MetricRecord]


class SweepReader:
    """Reads on from where it stopped.

    Args:
        sweep: the folder.
    """

    def __init__(self, sweep: SweepFolder) -> None:
        self._sweep = sweep
        self._offset = 0
        self._running: dict[str, tuple[AttemptFolder, int]] = {}

    def news(self) -> Iterator[News]:
        """Yield what was written since the last call: events as they are, metric records with their job's id.

        Raises:
            UserError: a line of the journal is damaged.
        """
        try:
            for event, behind in read_lines(self._sweep.journal, self._offset):
                self._offset = behind
                job_id = str(event.get("job"))
                if event["event"] == "started":
                    attempt = AttemptFolder(self._sweep.job(job_id).attempts / str(event["attempt"]))
                    self._running[job_id] = attempt, 0
                elif event["event"] == "ended":
                    yield from self._records(job_id)
                    self._running.pop(job_id, None)
                yield event
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"journal damaged in {self._sweep.journal}: byte {self._offset}: {error}; "
                "the job folders beside it are whole"
            ) from None
        for job_id in list(self._running):
            yield from self._records(job_id)

    def _records(self, job_id: str) -> Iterator[tuple[str, MetricRecord]]:
        if job_id not in self._running:
            return
        attempt, offset = self._running[job_id]
        try:
            for record, behind in read_metrics(attempt, offset):
                self._running[job_id] = attempt, behind
                yield job_id, record
        except (OSError, ValueError, TypeError):
            return  # a torn or foreign line stops this job's numbers and nothing else


def read_view(sweep: SweepFolder) -> SweepView:
    """Fold a sweep's folder as it is now.

    Raises:
        UserError: a line of the journal is damaged.
    """
    view, reader = SweepView(sweep), SweepReader(sweep)
    follow(reader, view)
    view.is_live = is_live(view)
    return view


def follow(reader: SweepReader, view: SweepView) -> None:
    """Bring a view up to date.

    Raises:
        UserError: a line of the journal is damaged.
    """
    fill_search(view)
    for news in reader.news():
        if isinstance(news, tuple):
            view.record(*news)
        else:
            view.event(news)
    fill_titles(view)


def is_live(view: SweepView) -> bool:
    """Return whether a process owns the sweep now."""
    host = view.controller.get("host")
    return is_owned(view.folder.journal, is_elsewhere=host is not None and host != _host())


def fill_titles(view: SweepView) -> None:
    """Take the titles and axes that a journal does not tell from ``sweep.yaml``."""
    if view.is_described or (view.jobs and view.command and all(job.title for job in view.jobs.values())):
        return
    view.is_described = True
    stored = read_sweep_file(view.folder.sweep)
    view.command = view.command or [str(word) for word in stored.get("command") or []]
    axes = stored.get("axes") or {}
    for entry in stored.get("jobs") or []:
        known = view.jobs.get(entry["id"])
        if known is None:
            view.event({"at": view.last_at, "event": "planned", "job": entry["id"], "state": JobState.PLANNED.value})
            known = view.jobs[entry["id"]]
        chosen = dict(word.split("=", 1) for word in entry.get("overrides") or [] if "=" in word)
        known.title = known.title or entry["title"]
        known.values = known.values or {key: chosen[key] for key in axes if key in chosen}
        if known.trial is None and "trial" in entry:
            known.trial = Trial.read(entry["trial"])


def read_sweep_file(path: Path) -> dict[str, Any]:
    """Read a ``sweep.yaml``; empty if it is not there or not readable."""
    try:
        value = YamlParts().load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return value if isinstance(value, dict) else {}


def _host() -> str:
    import socket

    return socket.gethostname()
