"""From the overrides of a command line to axes and to one list of overrides per job."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import Override, OverrideType

from runners.contract.errors import UserError
from runners.contract.naming import DETECTOR_CONFIG as CONFIG
from runners.contract.naming import READ_DETECTORS as READING

# Settings of the sweep itself. They say nothing about *what* is trained: no axis, and no part of a job's config.
SWEEP_SETTINGS = (
    "gpus",
    "jobs_per_gpu",
    "devices_per_job",
    "busy_gpus",
    "probe",
    "n_workers",
    "batch_per_step",
    "output_dir",
    "share",
    "keep",
    "check_disk",
    "reuse",
    "job_limit",
    "name",
    "tracking",
    "max_losses",
    "first_step_limit_min",
    "step_limit_min",
    "entry",
    "hypothesis",
    "search",
)


@dataclass(frozen=True)
class Axes:
    """What a sweep varies.

    Attributes:
        values: each axis' key and its values as they stand in an override, in the order of the command line.
        fixed: overrides that all jobs share.
        notices: lines worth telling, such as a value given twice.
    """

    values: Mapping[str, Sequence[str]]
    fixed: Sequence[str]
    notices: Sequence[str]

    def points(self) -> list[dict[str, str]]:
        """Return the grid: one mapping of axis key to value per job; the last axis turns fastest.

        Configs of MMDetection are gone through by the detectors that read one; beside them, ours is one arm.
        """
        points = [dict(zip(self.values, point, strict=True)) for point in itertools.product(*self.values.values())]
        if not self._is_mixed:
            return points
        read = [point if point["detector"] in READING else _without_config(point) for point in points]
        return [point for number, point in enumerate(read) if point not in read[:number]]

    def overrides(self, point: Mapping[str, str]) -> list[str]:
        """Return the complete overrides of one job."""
        lines = [*self.fixed, *(f"{key}={value}" for key, value in point.items())]
        if not self._is_mixed or point.get("detector") in READING:
            return lines
        return [line for line in lines if not line.startswith(f"{CONFIG}=")]

    @property
    def _is_mixed(self) -> bool:
        """Whether some of the detectors that are gone through read a config, and some are ours."""
        detectors = self.values.get("detector", ())
        return 0 < sum(option in READING for option in detectors) < len(detectors)


def _without_config(point: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in point.items() if key != CONFIG}


def read_axes(overrides: Sequence[Override]) -> Axes:
    """Tell axes from overrides that all jobs share; a later override of a key replaces an earlier one.

    Raises:
        UserError: an axis without a value, a sweep over something that is no axis.
    """
    values: dict[str, list[str]] = {}
    fixed: dict[str, str] = {}
    notices: list[str] = []
    problems: list[str] = []
    for override in overrides:
        key = override.get_key_element()
        name = key.lstrip("+~")
        values.pop(key, None)
        fixed.pop(key, None)
        if not override.is_sweep_override():
            if override.type != OverrideType.DEL and override.value() == "":
                problems.append(
                    f"no value in {override.input_line}: axis '{name}' has no value; write {name}=VALUE or leave it out"
                )
            fixed[key] = override.input_line or ""
            continue
        if name.partition(".")[0] in SWEEP_SETTINGS:
            problems.append(
                f"no axis in {override.input_line}: '{name}' is a setting of the whole sweep; "
                "give it one value, or start one sweep per value"
            )
            continue
        if name == "recipe":
            problems.append(
                f"two recipes in {override.input_line}: a recipe brings its own axes; "
                "choose one, or start one sweep per recipe"
            )
            continue
        if not override.is_discrete_sweep():
            problems.append(
                f"no grid in {override.input_line}: an interval has no values to go through; "
                f"write {name}=VALUE,VALUE or choice(...), or search=space"
            )
            continue
        listed = list(override.sweep_string_iterator())
        distinct = list(dict.fromkeys(listed))
        if len(distinct) < len(listed):
            doubled = sorted({value for value in listed if listed.count(value) > 1})
            notices.append(f"axis '{name}' names {', '.join(doubled)} more than once; it is trained once")
        if not distinct or "" in distinct:
            problems.append(
                f"no value in {override.input_line}: axis '{name}' has an empty value; write {name}=VALUE,VALUE"
            )
        values[key] = distinct
    if problems:
        raise UserError(*problems)
    return Axes(values, list(fixed.values()), notices)
