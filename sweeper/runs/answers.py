"""Keeps in a sweep's folder the numbers of the runs that answer its reused jobs."""

import time

from runners.contract.answers import Answer
from runners.contract.folder import SweepFolder
from runners.contract.remarks import RemarkKind, remark_lines
from runners.contract.states import JobState


def keep_answers(sweep: SweepFolder) -> None:
    """Write down what is not yet, of every run that can be read now; what cannot is left for the next time.

    Raises:
        UserError: the sweep cannot be read.
    """
    from reports.folders import read_sweep

    for run in read_sweep(sweep).runs:
        job = sweep.job(run.job_id)
        if run.state is not JobState.REUSED or not run.metrics or not job.path.is_dir() or job.answer.is_file():
            continue
        own = [remark for remark in run.remarks if remark.kind is not RemarkKind.REUSED]
        where = next(remark.detail for remark in run.remarks if remark.kind is RemarkKind.REUSED)
        curves = {name: [(point.epoch, point.value) for point in points] for name, points in run.curves.items()}
        Answer(where, time.time(), run.metrics, curves, run.best_epoch, run.notes, remark_lines(own)).write(job)
