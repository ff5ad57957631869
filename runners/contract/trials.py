"""What a trial of a search is, for all who keep it: the plan, the journal, the tracking store, the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from runners.contract.dimensions import Value
from runners.contract.states import JobState

Origin = Literal["default", "sampled", "warm", "confirm"]

# The tag of a job's run in the tracking store that holds its trial as JSON.
TRIAL_TAG = "detsweep.trial"
# The journal's event that holds, under ``trials``, what finished runs of other sweeps told a search at its beginning.
WARM_STARTED = "warm_started"


@dataclass(frozen=True)
class Trial:
    """One point of a search.

    Attributes:
        number: in the order in which trials were begun, from 0; 0 is the default's.
        params: what the study calls its values, by the dimensions' names; values outside of the space among them.
        origin: what brought it about: the config without a search; the sampler; a finished run of the tracking store;
            or the confirmation.
        of: of a confirming one, the id of the job that it repeats with another seed.
        run: of a warm one, the tracking store's id of its run.
    """

    number: int
    params: Mapping[str, Value]
    origin: Origin = "sampled"
    of: str = ""
    run: str = ""

    def describe(self) -> dict[str, Any]:
        """Return what is stored of it."""
        node: dict[str, Any] = {"number": self.number, "params": dict(self.params), "origin": self.origin}
        return node | ({"of": self.of} if self.of else {}) | ({"run": self.run} if self.run else {})

    @classmethod
    def read(cls, node: Mapping[str, Any]) -> "Trial":
        """Read what was stored.

        Raises:
            ValueError: its origin is none that is known.
        """
        if node["origin"] not in get_args(Origin):
            raise ValueError(f"origin {node['origin']} of a trial is none of {', '.join(get_args(Origin))}")
        return cls(
            number=int(node["number"]),
            params=dict(node["params"]),
            origin=node["origin"],
            of=str(node.get("of", "")),
            run=str(node.get("run", "")),
        )


@dataclass(frozen=True)
class TrialRecord:
    """A trial and what became of it.

    Attributes:
        trial: the point.
        job_id: of the job that trained it; empty of a warm one.
        state: where the job stands.
        values: of the objectives at the last epoch, by metric; empty until it has completed.
        curve: of the metric that is pruned by, by epoch from 1.
        constraints: by how much it breaks each limit, by metric, in the metric's unit; 0 or less keeps it.
        reason: why it failed or was pruned.
        started_at: wall-clock seconds since the epoch; None where it never ran.
        ended_at: the same of its end; None while it has not ended.
    """

    trial: Trial
    job_id: str = ""
    state: JobState = JobState.PLANNED
    values: Mapping[str, float] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its last epoch, here or by the run that answers it."""
        return self.state in (JobState.COMPLETED, JobState.REUSED)

    @property
    def is_feasible(self) -> bool:
        """Whether it keeps all limits that were measured of it."""
        return all(violation <= 0 for violation in self.constraints.values())

    def describe(self) -> dict[str, Any]:
        """Return what is stored of it; JSON knows no whole numbers as keys, so the curve is a list of pairs."""
        return {
            "trial": self.trial.describe(),
            "job": self.job_id,
            "state": self.state.value,
            "values": dict(self.values),
            "curve": [[epoch, value] for epoch, value in sorted(self.curve.items())],
            "constraints": dict(self.constraints),
            "reason": self.reason,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }

    @classmethod
    def read(cls, node: Mapping[str, Any]) -> "TrialRecord":
        """Read what was stored."""
        return cls(
            trial=Trial.read(node["trial"]),
            job_id=str(node["job"]),
            state=JobState(node["state"]),
            values={str(metric): float(value) for metric, value in node["values"].items()},
            curve={int(epoch): float(value) for epoch, value in node["curve"]},
            constraints={str(metric): float(value) for metric, value in node["constraints"].items()},
            reason=str(node["reason"]),
            started_at=node["started_at"],
            ended_at=node["ended_at"],
        )
