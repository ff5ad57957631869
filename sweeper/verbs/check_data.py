"""``detsweep check data``: what a data set holds and what in it looks wrong, in tables and on a page with pictures."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.text import Text

from runners.contract.coco import SPLITS, read_coco, split_files
from runners.contract.coco_check import SplitContents
from runners.contract.coco_records import check_records
from runners.contract.errors import UserError
from sweeper.planning.axes import Axes
from sweeper.planning.compose import Composer
from sweeper.planning.dataset import place_dataset, prepare_dataset
from sweeper.planning.job_configs import dataset_node
from sweeper.view.wording import count

# Where a detector of MMDetection's own config is read, its sizes are its own.
NO_SCALE = 1 << 20
# What the suspects say with more detail, box by box.
TOLD_BY_SUSPECTS = re.compile(
    "box reaches beyond the image|box thinner than 1 px|scores will be too good|hold no usable box"
)


@dataclass(frozen=True)
class _Asked:
    """One data set of the command line.

    Attributes:
        node: the config's `dataset` node.
        fold: which fold is val.
        input_scale: longest and shorter side that images are resized to, in pixels.
    """

    node: Mapping[str, Any]
    fold: int | None
    input_scale: tuple[int, int]

    @property
    def name(self) -> str:
        """What it is called, as a folder may be."""
        own = Path(str(self.node.get("root") or "")).expanduser().resolve().name
        name = own if self.node["name"] == "coco" else str(self.node["name"])
        fold = "" if self.fold is None else f"-fold{self.fold}"
        plain = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "data"
        return f"{plain}{fold}"


def check_data(console: Console, composer: Composer, axes: Axes, output_dir: Path) -> int:
    """Show every distinct data set of a command line; write a page for each.

    Args:
        console: where to print.
        composer: composes the jobs.
        axes: what the command line varies; those that change no data set change nothing here.
        output_dir: pages go to ``data/<name>/``.

    Returns:
        0: all of them can be trained on.

    Raises:
        UserError: with all problems of the data sets, after all that could be shown.
    """
    problems: list[str] = []
    for asked in _asked_for(composer, axes):
        problems += [problem for problem in _show(console, asked, output_dir) if problem not in problems]
    if problems:
        raise UserError(*problems)
    return 0


def _asked_for(composer: Composer, axes: Axes) -> list[_Asked]:
    found: dict[str, _Asked] = {}
    for point in axes.points():
        config = composer.compose(axes.overrides(point))
        asked = _Asked(dataset_node(config), config.fold, _input_scale(config))
        found.setdefault(json.dumps([asked.node, asked.fold], sort_keys=True, default=str), asked)
    return list(found.values())


def _input_scale(config: DictConfig) -> tuple[int, int]:
    scale = OmegaConf.select(config, "image_size.scale", default=None)
    if scale is None:
        return NO_SCALE, NO_SCALE
    return max(scale), min(scale)


def _show(console: Console, asked: _Asked, output_dir: Path) -> list[str]:
    """Print and write what was found about one data set; return its problems."""
    from reports.data_page import write_data_page
    from reports.data_set.examination import examine
    from reports.data_set.tables import data_tables
    from reports.fonts import ADVICE, without_font
    from reports.terminal import terminal_table

    problems: list[str] = []
    notes: list[str] = []
    try:
        prepared = prepare_dataset(asked.node, output_dir, asked.fold)
        contents = _read(prepared.node)
        notes = [warning for warning in prepared.warnings if not TOLD_BY_SUSPECTS.search(warning)]
    except UserError as error:
        problems = list(error.problems)
        contents = _read_what_is_sound(asked.node, output_dir)
    if not contents:
        return problems
    n_images = sum(len(coco.images) for _, coco in contents.values())
    if console.is_terminal:
        console.print(Text(f"looking at {count(n_images, 'image')} ..."), style="dim")
    found = examine(asked.name, contents, asked.input_scale, problems, notes)
    console.print(Text(f"{asked.name}: {contents[next(iter(contents))][0].root}", "bold"), soft_wrap=True)
    console.print()
    for table in data_tables(found):
        console.print(terminal_table(table))
    for note in notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    lacking = without_font(found.classes)
    if lacking:
        told = f"note: no font of this machine has the letters of {', '.join(lacking)}: pictures show numbers; {ADVICE}"
        console.print(Text(told), soft_wrap=True)
    folder = _page_folder(output_dir, asked, contents)
    console.print(Text(f"pictures: {write_data_page(found, folder)}"), soft_wrap=True)
    return problems


def _page_folder(output_dir: Path, asked: _Asked, contents: SplitContents) -> Path:
    folder = output_dir / "data" / asked.name
    root = next(iter(contents.values()))[0].root
    # Data that lies in the output folder stays as it is.
    return folder.with_name(f"{asked.name}-page") if folder.resolve() == root.resolve() else folder


def _read(node: Mapping[str, Any]) -> SplitContents:
    found = {split: split_files(node, split) for split in SPLITS}
    return {split: (files, read_coco(files.ann_file)) for split, files in found.items() if files is not None}


def _read_what_is_sound(node: Mapping[str, Any], output_dir: Path) -> SplitContents:
    """Return the splits that can be counted, of a data set that cannot be trained on."""
    contents: SplitContents = {}
    try:
        placed = place_dataset(node, output_dir)
    except UserError:
        return {}
    for split in SPLITS:
        files = split_files(placed, split)
        if files is None:
            continue
        try:
            coco = read_coco(files.ann_file)
        except UserError:
            continue
        if not check_records(coco).problems:
            contents[split] = files, coco
    return contents
