"""What to try next: follow-up sweeps of the best arm, each with its evidence and the command line that runs it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.diagnosed_runs import DiagnosedArm, mean_sizes
from reports.diagnosis.confusion import ConfusedPair
from reports.diagnosis.next_steps import NextStep, next_steps
from reports.diagnosis.remedies import Situation, key_of
from reports.ranking import with_width
from reports.records import RunRecord, SweepRecord
from reports.table import Column, Row, Table, text_cell
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder
from runners.contract.naming import DETECTOR_CONFIG, GROUPS, READ_DETECTORS
from runners.contract.yamlfile import load_yaml

NAME = "next-steps"
# Words of a command line that name whole sweeps: what they chose is said anew, group by group.
_WHOLE = ("hypothesis", "recipe", "search", "until", "name", "seed", "fold_seed")
# Columns that are settings under a name of their own.
_SETTINGS = {
    "n_epochs": "n_epochs",
    "batch_size": "batch_size",
    "lr": "optimizer.lr",
    "precision": "precision",
    "fold": "fold",
}
# A larger annotation file of train is not read for the sake of one line.
_MOST_BYTES = 50_000_000


def steps_from(arm: DiagnosedArm, runs: Sequence[RunRecord], sweeps: Sequence[SweepRecord]) -> list[NextStep]:
    """Return what is worth trying on top of an arm.

    Args:
        arm: the one to go on from.
        runs: all of the data set; what they compare is not proposed again.
        sweeps: all of the report.
    """
    run = arm.arm.runs[0]
    command = next((sweep.command for sweep in sweeps if sweep.sweep_id == run.sweep_id), ())
    fits = list(arm.fit.runs.values())
    fit = next((one for one in fits if one.fit is arm.fit.fit), None)
    situation = Situation(
        choices={group: run.params[group] for group in GROUPS if group in run.params},
        overrides=overrides_of(run, command),
        fit=fit,
        diagnosis=arm.mean,
        sizes=mean_sizes(arm),
        pairs=_pairs(arm),
        n_empty_images=_n_empty_images(run),
        tried=_tried(runs),
    )
    return next_steps(situation)


def overrides_of(run: RunRecord, command: Sequence[str]) -> list[str]:
    """Return the words of a command line that trains a run's recipe again.

    Args:
        run: the run.
        command: what started its sweep; empty where that is not known.
    """
    words = [word for word in command if "=" in word and not word.startswith("-")]
    says_whole = not words or any(key_of(word) in _WHOLE[:3] for word in words)
    kept: dict[str, str] = {}
    for word in words:
        key = key_of(word)
        if key.partition(".")[0] not in _WHOLE:
            # On an axis a run has one of its values.
            value = run.params.get(key, run.params.get(_COLUMN_OF.get(key, ""), "")) if "," in word else ""
            kept[key] = f"{word.partition('=')[0]}={value}" if value else word
    if says_whole:
        said = {group: f"{group}={choice}" for group, choice in _choices(run).items()}
        said |= {key: f"{key}={run.params[column]}" for column, key in _SETTINGS.items() if column in run.params}
        # Where it stands on axes of its own, as those of a search: weight decay, betas.
        said |= {key: f"{key}={value}" for key, value in run.params.items() if "." in key}
        kept = {**said, **(kept if words else _data_of(run))}
    return list(kept.values())


_COLUMN_OF = {key: column for column, key in _SETTINGS.items()}


def _choices(run: RunRecord) -> dict[str, str]:
    """Return the options of a run by group, as a command line names them; its columns where its config is not here."""
    config = _config(run)
    chosen: Mapping[str, Any] = config.get("choices") or run.params
    named = {group: str(chosen[group]) for group in GROUPS if group in chosen}
    if named.get("detector") in READ_DETECTORS:
        named[DETECTOR_CONFIG] = str(config["detector"]["config"])
    return named


def _data_of(run: RunRecord) -> dict[str, str]:
    """Return the words that name a run's data, where no command line is known that did."""
    config = _config(run)
    dataset: Mapping[str, Any] = config.get("dataset") or {}
    if run.folder is None or not dataset.get("root"):
        return {}
    if "shapes" in dataset:  # made by these numbers, wherever it lies
        return {key: f"dataset.shapes.{key}={value}" for key, value in dataset["shapes"].items()}
    # As the job found it: relative to its own folder.
    root = (run.folder / str(dataset["root"])).resolve()
    return {"dataset.root": f"dataset.root={root}"}


def _tried(runs: Sequence[RunRecord]) -> dict[str, frozenset[str]]:
    columns = {key for run in runs for key in run.params}
    return {_SETTINGS.get(key, key): frozenset(run.params[key] for run in runs if key in run.params) for key in columns}


def _pairs(arm: DiagnosedArm) -> list[ConfusedPair]:
    """Return the pairs of the arm's first run, by how often all of its runs confuse them."""
    times = Counter[tuple[str, str]]()
    for one in arm.found:
        times.update({(pair.true_class, pair.called): len(pair.objects) for pair in one.confusion.pairs})
    pairs = arm.found[0].confusion.pairs if arm.found else ()
    return sorted(pairs, key=lambda pair: -times[pair.true_class, pair.called])


def _config(run: RunRecord) -> Mapping[str, Any]:
    path = JobFolder(run.folder).config if run.folder is not None else None
    if path is None or not path.is_file():
        return {}
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, UserError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _n_empty_images(run: RunRecord) -> int:
    """Return how many training images show no object; 0 where that is not known."""
    try:
        dataset = _config(run)["dataset"]
        assert run.folder is not None
        path = (run.folder / Path(dataset["root"], dataset["train"]["ann_file"])).resolve()
        if path.stat().st_size > _MOST_BYTES:
            return 0
        truth = json.loads(path.read_bytes())
        return len(truth["images"]) - len({entry["image_id"] for entry in truth["annotations"]})
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def next_step_table(steps: Sequence[NextStep], arm: str, runs: Sequence[RunRecord]) -> Table:
    """Return a row for each follow-up sweep, the largest evidence first.

    Args:
        steps: from `steps_from`.
        arm: what they go on from, where there are several.
        runs: of the data set.
    """
    return Table(
        name=NAME,
        title=with_width("Worth trying next", runs),
        columns=tuple(Column(title, is_number=False) for title in ("what", "evidence", "command")),
        rows=[Row("", [text_cell(step.title), text_cell(step.evidence), text_cell(step.command)]) for step in steps],
        notes=(
            *([f"On top of {arm}, the best on val."] if arm else []),
            "Rules of practice, no forecast: each sweep finds out whether it helps, with three seeds for a verdict.",
        ),
    )
