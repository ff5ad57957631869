"""The members of an ensemble: runs, or stored evaluations of runs, whose detections are of the same images."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runners.contract.coco import CocoFile, SplitFiles, fingerprint, read_coco, split_files
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.metrics import Split
from runners.contract.yamlfile import load_yaml
from sweeper.runs.addresses import FoundRun, RunPlace, find_run
from sweeper.runs.subject import find_result
from sweeper.stored.sweep_file import read_sweep_file

_VARIANT = re.compile(r"(?:(?:val|test|train)_)?([\w.-]+)")
N_COMMON = 3


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        word: as it was typed.
        run: whose detections they are.
        variant: of which evaluation, without its split (``flip``); empty for what the training left.
        config: that the run was trained with.
    """

    word: str
    run: FoundRun
    variant: str
    config: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its name in tables."""
        return f"{self.run.title}:{self.variant}" if self.variant else self.run.title

    @property
    def key(self) -> str:
        """``<sweep id>/<job id>``, and the variant."""
        return f"{self.run.key}:{self.variant}" if self.variant else self.run.key

    def evaluation_name(self, split: Split) -> str:
        """Return the name of the evaluation of a split."""
        return f"{split}_{self.variant}" if self.variant else split

    def find(self, split: Split) -> "Found | None":
        """Return its detections of a split; None if it has none.

        Raises:
            UserError: a file is damaged, or the annotation file is not there any more.
        """
        config, path = self.config, None
        if self.variant:
            folder = self.run.job.evaluation(self.evaluation_name(split))
            if folder.metrics.is_file():
                config, path = load_yaml(folder.config.read_text(encoding="utf-8")), folder.detections
        else:
            path = _newest_predictions(self.run.job, split)
        files = split_files(config["dataset"], split)
        if path is None or files is None:
            return None
        return Found(files, read_coco(files.ann_file, files.setting), _read_detections(path))


@dataclass(frozen=True)
class Found:
    """Detections of one split.

    Attributes:
        files: where the images lie.
        coco: the annotation file.
        detections: COCO results.
    """

    files: SplitFiles
    coco: CocoFile
    detections: list[dict[str, Any]]


def find_members(words: Sequence[str], place: RunPlace) -> list[Member]:
    """Return what the words name: ``RUN``, or ``RUN:VARIANT`` for a stored evaluation (``3:flip``, ``3:val_flip``).

    Raises:
        UserError: a run is not found or has not finished, one is named twice, or they cannot be compared.
    """
    members = [_member(word, place) for word in words]
    keys = [member.key for member in members]
    doubled = sorted({member.word for member in members if keys.count(member.key) > 1})
    if doubled:
        raise UserError(f"same run twice in {', '.join(doubled)}: it would count double; weights= gives a run more")
    _refuse_other_data(members)
    return members


def common_split(members: Sequence[Member], split: Split) -> list[Found] | None:
    """Return the detections of all members in one split; None if one of them has none.

    Raises:
        UserError: they are of different images.
    """
    found = [member.find(split) for member in members]
    there = [each for each in found if each is not None]
    if len(there) < len(found):
        return None
    told: dict[str, list[str]] = {}
    known: dict[tuple[str, Path], str] = {}
    for member, each in zip(members, there, strict=True):
        place = (each.coco.digest, each.files.image_dir)
        if place not in known:
            known[place] = fingerprint([(each.coco, each.files.image_dir)])
        told.setdefault(known[place], []).append(f"{member.word} ({each.coco.path})")
    if len(told) > 1:
        groups = "; ".join(", ".join(words[:N_COMMON]) for words in told.values())
        fix = "fuse their test predictions alone with split=test" if split == "val" else "choose runs of one data set"
        raise UserError(
            f"{split} files differ between the runs: {groups}; members have to be of the same images, {fix}"
        )
    return there


def lacking(members: Sequence[Member], split: Split) -> list[Member]:
    """Return the members without detections of a split."""
    return [member for member in members if member.find(split) is None]


def _member(word: str, place: RunPlace) -> Member:
    address, _, variant = word.rpartition(":")
    if Path(word).exists() or not address:
        address, variant = word, ""
    run = find_run(address, place)
    match = _VARIANT.fullmatch(variant) if variant else None
    if variant and match is None:
        raise UserError(f"evaluation in {word}: no name of one; write RUN:VARIANT, as in 3:flip")
    if find_result(run.job) is None:
        raise UserError(f"run in {word}: {run.title} has not finished; choose another run")
    return Member(word, run, match[1] if match else "", load_yaml(run.job.config.read_text(encoding="utf-8")))


def _refuse_other_data(members: Sequence[Member]) -> None:
    """Refuse runs of other classes, or of other data: one may have been trained on what another is scored on."""
    first = members[0]
    problems = []
    classes = list(first.config["dataset"]["classes"])
    data = _fingerprint(first)
    for member in members[1:]:
        own = list(member.config["dataset"]["classes"])
        if sorted(own) != sorted(classes):
            problems.append(
                f"classes differ between {first.word} and {member.word}: {', '.join(classes)} and {', '.join(own)}; "
                "choose runs of the same classes"
            )
        elif data and _fingerprint(member) and _fingerprint(member) != data:
            problems.append(
                f"data sets differ between {first.word} and {member.word}: fingerprints {data[:12]} and "
                f"{_fingerprint(member)[:12]}; one may have been trained on what the other is scored on"
            )
    if problems:
        raise UserError(*problems)


def _fingerprint(member: Member) -> str:
    """Return that of the data set a run was trained on; empty where its sweep is not here."""
    job = member.run.job
    sweep = SweepFolder(job.path.parent.parent)
    if not sweep.sweep.is_file():
        return ""
    jobs = {str(entry["id"]): str(entry["fingerprint"]) for entry in read_sweep_file(sweep)["jobs"]}
    return jobs.get(job.job_id, "")


def _newest_predictions(job: JobFolder, split: Split) -> Path | None:
    from reports.submission import find_predictions

    try:
        return find_predictions(job, split)
    except UserError:
        return None


def _read_detections(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"detections in {path}: cannot be read ({error}); evaluate the run again") from None
    if not isinstance(found, list):
        raise UserError(f"detections in {path}: {type(found).__name__} and no list; evaluate the run again")
    return found
