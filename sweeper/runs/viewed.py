"""Which files a look at one run or two needs: their predictions of one split, and its images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.coco import SplitFiles, read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.metrics import Split
from runners.contract.yamlfile import load_yaml
from sweeper.runs.addresses import RunPlace
from sweeper.runs.members import Member, find_members
from sweeper.runs.moved_data import with_data_here

# Beside the job's other files; what is kept there can be computed again.
FOLDER = "viewing"


@dataclass(frozen=True)
class Viewed:
    """One run.

    Attributes:
        title: its name, with the evaluation where it is of one.
        predictions: COCO results.
        kept: where what is computed of them may be kept.
        files: where labels and images lie.
    """

    title: str
    predictions: Path
    kept: Path
    files: SplitFiles


def find_viewed(words: Sequence[str], split: Split, place: RunPlace) -> list[Viewed]:
    """Return what is looked at.

    Of a training it is what the report judges: on val the predictions of the last epoch.

    Args:
        words: ``RUN``, or ``RUN:VARIANT`` for a stored evaluation (``3:flip``); one or two.
        split: val or test.
        place: where runs are looked for.

    Raises:
        UserError: a run is not found or has not finished, it has no such predictions or labels, or two are of
            different images.
    """
    found = [_viewed(member, split) for member in find_members(words, place)]
    contents = [read_coco(each.files.ann_file, each.files.setting) for each in found]
    for each, coco in zip(found, contents, strict=True):
        if not coco.is_labelled:
            raise UserError(
                f"labels in {each.files.ann_file}: none, so nothing tells right from wrong; "
                f"detsweep predict RUN split={split} draws what was found"
            )
    if len({coco.digest for coco in contents}) > 1:
        listed = ", ".join(f"{word} ({coco.path})" for word, coco in zip(words, contents, strict=True))
        raise UserError(
            f"{split} files differ between the runs: {listed}; both have to be of the same images, "
            "choose runs of one data set and fold, or split=test"
        )
    return found


def _viewed(member: Member, split: Split) -> Viewed:
    from reports.judging.run_values import predictions_of
    from reports.submission import find_predictions

    job, name = member.run.job, member.evaluation_name(split)
    config: Mapping[str, Any] = with_data_here(member.config, job)
    if member.variant:
        folder = job.evaluation(name)
        if not folder.metrics.is_file():
            known = ", ".join(each.name for each in job.all_evaluations()) or "none"
            raise UserError(f"evaluation in {member.word}: no {name} of {member.run.title}; there is {known}")
        config, predictions = load_yaml(folder.config.read_text(encoding="utf-8")), folder.detections
    else:
        # Of what others trained there is one checkpoint, and so one file of predictions.
        predictions = find_predictions(job, split) if job.imported.is_file() else predictions_of(job, split)
    files = split_files(config["dataset"], split)
    if files is None:
        raise UserError(f"dataset.{split} of {member.run.title}: it had no {split} split; choose another split=")
    return Viewed(member.title, predictions, job.path / FOLDER / f"{name}.npz", files)
