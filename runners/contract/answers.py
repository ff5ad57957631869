"""What a sweep keeps of the runs that answer its reused jobs: their numbers, so that its folder tells all it ever told.

Such a run lies in another folder, and its id means something in one tracking store only: neither goes along when the
sweep is handed over.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runners.contract.folder import JobFolder
from runners.contract.jsonfile import read_json, write_json


@dataclass(frozen=True)
class Answer:
    """``answer.json`` of a reused job.

    Attributes:
        where: the job that was trained, ``<sweep id>/<job id>``.
        at: when this was written, in wall-clock seconds since the epoch.
        metrics: its final values under the names of `runners.contract.metrics`.
        curves: (epoch, value) of the metrics that reports draw.
        best_epoch: the epoch that was chosen on val, from 1.
        notes: lines worth showing beside the numbers.
        remarks: its remarks, as `runners.contract.remarks.remark_lines` writes them.
    """

    where: str
    at: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    best_epoch: int | None = None
    notes: Sequence[str] = ()
    remarks: str = ""

    def write(self, job: JobFolder) -> None:
        """Write ``answer.json``, in one piece."""
        write_json(job.answer, dataclasses.asdict(self))

    @classmethod
    def read(cls, job: JobFolder) -> "Answer | None":
        """Read ``answer.json``; None where there is none, or not all of it."""
        try:
            value = read_json(job.answer)
            curves = {name: [(int(epoch), float(y)) for epoch, y in points] for name, points in value["curves"].items()}
            return cls(**{**value, "curves": curves})
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
