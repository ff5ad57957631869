"""``detsweep ensemble``: fuses what several runs found, scores it beside each of them, and writes the submission."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.jsonfile import write_json, write_text
from runners.contract.metrics import Split
from sweeper.runs.members import Found, Member, common_split, find_members, lacking
from sweeper.stored.sweep_folder import UMASKS, set_umask
from sweeper.tracking.run_log import Addition, log_new_run
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import RunWords, read_run_words
from sweeper.verbs.words import did_you_mean

if TYPE_CHECKING:
    from reports.ensemble import Recipe

SETTINGS = {"method": "wbf", "iou": "0.55", "weights": "", "skip_score": "0", "split": "", "name": "", "log": "true"}
ENSEMBLES = "ensembles"
# The smallest difference of two boxes that a threshold may ask for.
IOU_RANGE = (0.01, 0.99)


@dataclass(frozen=True)
class _Fused:
    """One split, fused.

    Attributes:
        split: which.
        found: of each member.
        detections: of the ensemble.
        members: what each member measures; empty mappings where the split is not labelled.
        metrics: what the ensemble measures.
    """

    split: Split
    found: Sequence[Found]
    detections: list[dict[str, Any]]
    members: Sequence[Mapping[str, float]]
    metrics: Mapping[str, float]


def run_ensemble(words: Sequence[str]) -> int:
    """Carry ``detsweep ensemble RUN RUN ... [KEY=VALUE ...]`` out.

    Raises:
        UserError: a run or a word is wrong, or the runs cannot be fused.
    """
    told = read_run_words("ensemble", words, SETTINGS, has_overrides=False)
    if len(told.names) < 2:
        raise UserError(f"runs in {told.line}: {len(told.names)} given; name two or more")
    recipe = _recipe(told)
    only, should_log = told.split(None), told.truth("log")
    members = find_members(told.names, told.place)
    console = open_console()
    splits: Sequence[Split] = ("val", "test") if only is None else (only,)
    fused = [_fuse(members, split, recipe, console, is_asked=split == (only or "val")) for split in splits]
    done = [each for each in fused if each is not None]
    folder = _write(told, members, recipe, done, console)
    if should_log:
        _log(folder, members, recipe, done, console)
    return 0


def _recipe(told: RunWords) -> "Recipe":
    from reports.ensemble import METHODS, Recipe

    method = told.settings["method"]
    if method not in METHODS:
        raise UserError(
            f"unknown value in method={method}{did_you_mean(method, METHODS)}; choices: {', '.join(METHODS)}"
        )
    said = [word for word in told.settings["weights"].strip("[]").split(",") if word.strip()]
    try:
        weights = [float(word) for word in said] or [1.0] * len(told.names)
    except ValueError:
        raise UserError(
            f"no numbers in weights={told.settings['weights']}; give one for each run: weights=2,1"
        ) from None
    if len(weights) != len(told.names) or not all(0 < weight < float("inf") for weight in weights):
        raise UserError(f"weights in weights={said}: {len(told.names)} runs; give one number above 0 for each")
    return Recipe(method, told.number("iou", *IOU_RANGE), weights, told.number("skip_score", 0, 1))


def _fuse(
    members: Sequence[Member], split: Split, recipe: "Recipe", console: Console, *, is_asked: bool
) -> _Fused | None:
    """Fuse one split; None where a member lacks it and it need not be there."""
    from reports.ensemble import fuse_detections, score_all

    found = common_split(members, split)
    if found is None:
        without = lacking(members, split)
        line = f"no {split} predictions of {', '.join(member.word for member in without)}"
        if any(member.variant for member in without):
            line += f"; make them: {next(_hint(member, split) for member in without if member.variant)}"
        else:
            line += f"; only a completed run of a data set with a {split} split has them"
        if is_asked:
            raise UserError(line)
        console.print(Text(f"note: {line}; {split} is left out"), soft_wrap=True)
        return None
    with console.status(Text(f"fusing {split}")) as status:
        detections = [each.detections for each in found]
        words = f"fusing {split}: image"
        fused = fuse_detections(detections, recipe, lambda done, of: status.update(Text(f"{words} {done} of {of}")))
        truth = found[0].coco.content
        scored: tuple[list[dict[str, float]], dict[str, float]] = [{} for _ in members], {}
        if found[0].coco.is_labelled:
            status.update(Text(f"scoring {split}"))
            scored = score_all(split, truth, detections, fused)
    return _Fused(split, found, fused, *scored)


def _hint(member: Member, split: Split) -> str:
    address = member.word.rpartition(":")[0]
    tta = member.variant.partition("_")[0]
    known = f" tta={tta}" if tta in ("flip", "multiscale") else ""
    return f"detsweep evaluate {address} split={split}{known}"


def _write(
    told: RunWords, members: Sequence[Member], recipe: "Recipe", fused: Sequence[_Fused], console: Console
) -> Path:
    from reports.evaluation_table import members_table
    from reports.submission import write_detections
    from reports.terminal import terminal_table

    decides = [[member.key for member in members], recipe.method, recipe.iou, list(recipe.weights), recipe.skip_score]
    name = told.settings["name"] or f"{recipe.method}-{hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:8]}"
    folder = told.place.output_dir / ENSEMBLES / name
    set_umask(UMASKS["private"])
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for each in fused:
        path = folder / f"{each.split}.json"
        write_text(path, json.dumps(each.detections, separators=(",", ":")) + "\n")
        lines.append(f"wrote {path}")
        if each.metrics:
            rows = [(member.title, metrics) for member, metrics in zip(members, each.members, strict=True)]
            classes = members[0].config["dataset"]["classes"]
            table = members_table(
                f"Ensemble by {recipe.method}, {each.split}", each.split, [*rows, ("ensemble", each.metrics)], classes
            )
            console.print(terminal_table(table))
        if each.split == "test":
            classes = members[0].config["dataset"]["classes"]
            written = write_detections(each.detections, each.found[0].coco, classes, folder / "submission", path)
            lines.append(f"wrote {written.csv}")
    write_json(folder / "ensemble.json", _description(members, recipe, fused))
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    return folder


def _description(members: Sequence[Member], recipe: "Recipe", fused: Sequence[_Fused]) -> dict[str, Any]:
    return {
        "method": recipe.method,
        "iou": recipe.iou,
        "skip_score": recipe.skip_score,
        "members": [
            {
                "run": member.run.key,
                "title": member.run.title,
                "variant": member.variant,
                "weight": weight,
                "metrics": {name: value for each in fused for name, value in each.members[number].items()},
            }
            for number, (member, weight) in enumerate(zip(members, recipe.weights, strict=True))
        ],
        "metrics": {name: value for each in fused for name, value in each.metrics.items()},
    }


def _log(folder: Path, members: Sequence[Member], recipe: "Recipe", fused: Sequence[_Fused], console: Console) -> None:
    tags = {
        "detsweep.kind": "ensemble",
        "detsweep.folder": str(folder),
        "detsweep.members": json.dumps([member.key for member in members]),
        **{f"detsweep.member.{number}": member.key for number, member in enumerate(members, start=1)},
    }
    params = {
        "method": recipe.method,
        "iou": f"{recipe.iou:g}",
        "skip_score": f"{recipe.skip_score:g}",
        "weights": ",".join(f"{weight:g}" for weight in recipe.weights),
        "members": ", ".join(member.title for member in members),
    }
    metrics = {name: value for each in fused for name, value in each.metrics.items()}
    title = f"ensemble of {len(members)} by {recipe.method}"
    key = f"{ENSEMBLES}/{folder.name}"
    outcome = log_new_run(members[0].run.tracking, key, title, params, Addition(metrics, [(folder, None)], tags))
    if outcome.problem:
        line = f"tracking store {outcome.problem}; everything is kept in {folder}, and the same command logs it later"
        console.print(Text(line), soft_wrap=True)
