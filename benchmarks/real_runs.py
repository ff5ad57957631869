"""Real runs of a narrow detector on generated shapes, trained by detsweep itself: what verdicts are tried on."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.folders import read_sweep
from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder

# What all recipes have in common. A narrow net learns from scratch at this rate.
NARROW_ON_SHAPES = (
    *("dataset=shapes", "width=narrow", "weights=none", "backbone=resnet18", "image_size=96px", "schedule=4e"),
    *("batch_size=4", "optimizer.lr=0.08", "evaluation.n_train_images=1", "evaluation.val_loss=false"),
)


@dataclass(frozen=True)
class Recipe:
    """What is trained, again and again with other seeds.

    Attributes:
        name: of its sweep.
        words: of the command line.
    """

    name: str
    words: tuple[str, ...]


def train_runs(recipe: Recipe, n_runs: int, folder: Path) -> list[JobFolder]:
    """Train a recipe with the seeds from 0 on, one job on each core; what was trained before is reused.

    Args:
        recipe: what to train.
        n_runs: how many seeds.
        folder: the output folder; a later call goes on from what is there.

    Returns:
        The jobs' folders, by seed.

    Raises:
        RuntimeError: the command failed, or a job did.
    """
    words = [
        *("train", *recipe.words, f"seed=range(0,{n_runs})", f"name={recipe.name}", f"output_dir={folder.resolve()}"),
        *("gpus=none", f"jobs_per_gpu={len(os.sched_getaffinity(0))}"),
    ]
    program = str(Path(sys.executable).with_name("detsweep"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"training {recipe.name}: {n_runs} runs, into {folder}", flush=True)
    with (folder / f"{recipe.name}.txt").open("ab") as log:
        code = subprocess.run([program, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode
    if code:
        raise RuntimeError(f"detsweep ended with {code}; its words are in {folder / recipe.name}.txt")
    return _jobs(_newest_sweep(folder, recipe.name), n_runs)


def _newest_sweep(folder: Path, name: str) -> SweepFolder:
    found = sorted(path.parent for path in folder.glob("*/sweep.yaml") if f"_{name}_" in path.parent.name)
    if not found:
        raise RuntimeError(f"no sweep of {name} in {folder}")
    return SweepFolder(found[-1])


def _jobs(sweep: SweepFolder, n_runs: int) -> list[JobFolder]:
    try:
        runs = read_sweep(sweep).runs
    except UserError as error:
        raise RuntimeError("; ".join(error.problems)) from error
    folders: Sequence[Path | None] = [run.folder for run in runs if run.has_result]
    if len(folders) != n_runs or None in folders:
        raise RuntimeError(f"{len(folders)} of {n_runs} runs have a result in {sweep.path}")
    return [JobFolder(path) for path in folders if path is not None]
