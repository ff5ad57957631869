"""What one run reaches on an evaluation set, and would reach on sets drawn anew: computed once, kept beside the run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.judging.average_precision import average_precision, mean_ap
from reports.judging.evaluation_set import EvaluationSet
from reports.judging.matches import Matches, match_run
from reports.kept_arrays import keep_arrays, kept_arrays
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.metrics import Split, class_metric, metric

# Raised with every change of what is computed: what an older version kept is then computed anew.
VERSION = 1
FOLDER = "judging"

# mmdet's name -> (size bin, threshold; None for the mean of all ten).
_NAMES: Mapping[str, tuple[int, int | None]] = {
    "bbox_mAP": (0, None),
    "bbox_mAP_50": (0, 0),
    "bbox_mAP_75": (0, 5),
    "bbox_mAP_s": (1, None),
    "bbox_mAP_m": (2, None),
    "bbox_mAP_l": (3, None),
}
# The predictions by which a split is judged: of val those of the last epoch, for the best epoch was chosen on val.
_PREDICTIONS: Mapping[str, str] = {"val": "val_last", "test": "test"}


@dataclass(frozen=True)
class RunValues:
    """The metrics of one run on one evaluation set.

    Attributes:
        values: metric's full name to (1 + J,): at weight one, then under each weighting; 0-1, NaN without objects.
        n_objects: metric's full name to the number of objects that it counts.
        n_groups: likewise, images (or groups of them) with such an object.
    """

    values: Mapping[str, NDArray[np.float64]]
    n_objects: Mapping[str, int]
    n_groups: Mapping[str, int]


def predictions_of(job: JobFolder, split: Split) -> Path:
    """Return the file of a finished job's predictions by which it is judged.

    Raises:
        UserError: there is none.
    """
    name = _PREDICTIONS[split]
    found = sorted(job.predictions.glob(f"a*_{name}.json"), key=lambda path: int(path.name[1:].partition("_")[0]))
    if not found:
        raise UserError(f"predictions in {job.predictions}: none of {name}; the job has not finished, or they are gone")
    return found[-1]


def run_values(job: JobFolder, split: Split, on: EvaluationSet) -> RunValues:
    """Return a run's metrics under all weightings, from what is kept beside it or else computed, and kept then.

    Args:
        job: the run's folder.
        split: val or test.
        on: the split's images.

    Raises:
        UserError: the predictions are missing or damaged.
    """
    predictions = predictions_of(job, split)

    def matches() -> Matches:
        found = matches_of(predictions, on)
        _keep_matches(job.path / FOLDER / f"{split}_matches.npz", found)
        return found

    key = f"{sha256_of(predictions)} {on.fingerprint} {on.group_by}"
    return kept_or_computed(job, f"{split}_values.npz", key, matches, split, on)


def kept_or_computed(
    job: JobFolder, name: str, key: str, matches: Callable[[], Matches], split: Split, on: EvaluationSet
) -> RunValues:
    """Return metrics under all weightings, from what is kept beside a run or else computed, and kept then.

    Args:
        job: the run's folder.
        name: of the file that they are kept in.
        key: what they were computed from; another one, and they are computed anew.
        matches: gives what they are computed from.
        split: val or test.
        on: the images.
    """
    kept, key = job.path / FOLDER / name, f"{VERSION} {key}"
    known = _read(kept, key)
    if known is None:
        known = _computed(matches(), split, on)
        _keep(kept, key, known)
    return known


def matches_of(predictions: Path, on: EvaluationSet) -> Matches:
    """Match a file of predictions.

    Raises:
        UserError: it is damaged.
    """
    try:
        return match_run(on.truth, json.loads(predictions.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"predictions damaged in {predictions}: {error}; train or evaluate the run again") from None


def _computed(matches: Matches, split: Split, on: EvaluationSet) -> RunValues:
    found = average_precision(matches, on.weights)
    objects = matches.n_objects
    values: dict[str, NDArray[np.float64]] = {}
    n_objects: dict[str, int] = {}
    n_groups: dict[str, int] = {}
    for name, (area, threshold) in _NAMES.items():
        full = metric(split, name)
        values[full] = mean_ap(found, area, threshold)
        n_objects[full] = int(objects[area].sum())
        n_groups[full] = on.n_groups_with(objects[area].sum(axis=0) > 0)
    for index, category in enumerate(_categories(on.truth)):
        full = class_metric(split, str(category["name"]))
        values[full] = found[:, 0, index].mean(axis=1)
        n_objects[full] = int(objects[0, index].sum())
        n_groups[full] = on.n_groups_with(objects[0, index] > 0)
    return RunValues(values, n_objects, n_groups)


def _categories(truth: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return sorted(truth["categories"], key=lambda category: int(category["id"]))


def _keep(path: Path, key: str, found: RunValues) -> None:
    names = list(found.values)
    counts = np.array([[found.n_objects[name], found.n_groups[name]] for name in names])
    table = np.stack([found.values[name] for name in names])
    keep_arrays(path, key=np.array(key), names=np.array(names), counts=counts, values=table)


def _keep_matches(path: Path, matches: Matches) -> None:
    keep_arrays(path, **vars(matches))


def _read(path: Path, key: str) -> RunValues | None:
    """Return what is kept, if it is of these predictions on these images."""
    stored = kept_arrays(path, key)
    if stored is None or not {"names", "counts", "values"} <= stored.keys():
        return None
    names, counts = [str(name) for name in stored["names"]], stored["counts"]
    return RunValues(
        values=dict(zip(names, stored["values"], strict=True)),
        n_objects={name: int(count[0]) for name, count in zip(names, counts, strict=True)},
        n_groups={name: int(count[1]) for name, count in zip(names, counts, strict=True)},
    )
