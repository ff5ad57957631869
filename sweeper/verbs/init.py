"""``detsweep init``: begins a project in a folder with the data that it is pointed at, or adds a data set to one."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runners.contract.coco import SPLITS
from runners.contract.errors import UserError
from runners.contract.metrics import Split
from sweeper.project.dataset_option import DatasetOption, checked_name, name_from
from sweeper.project.found_data import FoundData, find_data
from sweeper.project.project import CONF, MARKER, OUTPUTS, SHIPPED_CONF, find_project
from sweeper.project.starter_texts import StarterFile, option_file, starter_files
from sweeper.project.starting import choose_conf, make_files
from sweeper.verbs.words import did_you_mean

SETTINGS = ("name", "data", *SPLITS, "images")


@dataclass(frozen=True)
class Asked:
    """What a command line asks for.

    Attributes:
        folder: the project's folder, where it is named.
        name: what the data set is to be called.
        data: its folder.
        splits: named annotation files; None: there is no such split.
        images: the folder of its images.
    """

    folder: Path | None
    name: str | None
    data: Path | None
    splits: Mapping[Split, Path | None]
    images: Path | None

    @property
    def is_pointed(self) -> bool:
        """Whether it says where the data is."""
        return self.data is not None or self.splits.get("train") is not None


def run_init(words: Sequence[str]) -> int:
    """Carry ``detsweep init [FOLDER] [name=] [data=] [train=] [val=] [test=] [images=]`` out.

    Returns:
        0.

    Raises:
        UserError: the data is not there or not fit, or something is in the way; nothing is made then.
    """
    asked = _read_words(words)
    if asked.folder is not None and asked.folder.exists() and not asked.folder.is_dir():
        raise UserError(
            f"folder in detsweep init: {asked.folder} is a file; name a folder, and annotation files by train=FILE"
        )
    project = find_project(asked.folder)
    root = asked.folder or project.root
    is_new = not (project.is_marked and project.root == root)
    if not is_new and not asked.is_pointed:
        raise UserError(
            f"a project already in {root}: {MARKER} is there; add a data set with detsweep init name=NAME data=FOLDER"
        )
    if not asked.is_pointed and not root.is_dir():
        raise UserError(
            f"no data in detsweep init: {root} is not there yet, and holds none; name its folder with data=FOLDER"
        )
    found = find_data(asked.data if asked.is_pointed else root, asked.splits, asked.images)
    name = checked_name(asked.name or name_from(found.root, root) or "own", SHIPPED_CONF)
    option = DatasetOption(name, found, _root_to_write(found, root, asked))
    if is_new:
        conf = choose_conf(root)
        files = starter_files(option, conf, _has(root, "README.md"), _has(root, ".gitignore"))
        notes = _notes(root, conf)
    else:
        files, notes = [option_file(option, project.conf_name)], []
    make_files(root, files)
    print("\n".join([*_told(root, files, option), *notes, _next(root, name)]))
    return 0


def _read_words(words: Sequence[str]) -> Asked:
    typed = " ".join(["detsweep", "init", *words])
    folders: list[str] = []
    values: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if word.startswith("-"):
            raise UserError(f"no flag '{word}' in {typed}: it has none")
        if not separator:
            folders.append(word)
        elif key not in SETTINGS:
            near = did_you_mean(key, SETTINGS)
            raise UserError(f"no setting '{key}' in {typed}{near}; settings are {', '.join(SETTINGS)}")
        elif not value:
            raise UserError(f"no value in '{word}' in {typed}; give {key}=VALUE, or leave it out")
        else:
            values[key] = value
    if len(folders) > 1:
        raise UserError(f"too many folders in {typed}: {len(folders)} given; name the project's, the data's by data=")
    splits: dict[Split, Path | None] = {}
    for split in SPLITS:
        if split in values:
            splits[split] = None if values[split] == "null" and split != "train" else _path(values[split])
    return Asked(
        _path(folders[0]) if folders else None,
        values.get("name"),
        _path(values["data"]) if "data" in values else None,
        splits,
        _path(values["images"]) if "images" in values else None,
    )


def _path(text: str) -> Path:
    """Return a path of the command line, absolute and without dots."""
    return Path(os.path.normpath(Path(text).expanduser().absolute()))


def _root_to_write(found: FoundData, root: Path, asked: Asked) -> str:
    """Return the data's folder as the option's file says it: relative where it may move together with the project."""
    named = asked.data or asked.splits.get("train")
    if found.root.is_relative_to(root):
        return os.path.relpath(found.root, root)
    # Somewhere else on the disk it stays where it is when the project is moved.
    is_near = named is not None and os.path.commonpath([found.root, root]) == str(root.parent)
    return os.path.relpath(found.root, root) if is_near else str(found.root)


def _has(root: Path, name: str) -> bool:
    return (root / name).exists()


def _told(root: Path, files: Sequence[StarterFile], option: DatasetOption) -> list[str]:
    width = max(len(file.name) for file in files)
    lines = [f"made in {root}:", *(f"  {file.name:<{width}}  {file.purpose}" for file in files)]
    for split, found in option.data.splits.items():
        lines.append(f"{split}: {found.coco.path}, images in {found.image_dir}")
    return [*lines, f"classes: {option.classes_told}"]


def _notes(root: Path, conf: str) -> list[str]:
    """Return what is worth telling of a folder that had something in it; said before anything is made."""
    notes = []
    if conf != CONF:
        notes.append(f"note: {CONF}/ is another program's and stays as it is; detsweep's groups are in {conf}/")
    if _has(root, ".gitignore"):
        notes.append(f"note: your .gitignore stays as it is; add /{OUTPUTS}/ to it")
    return notes


def _next(root: Path, name: str) -> str:
    go = "" if Path.cwd().is_relative_to(root) else f"cd {shlex.quote(os.path.relpath(root))} && "
    return f"next: {go}detsweep check data dataset={name}"
