"""What is wrong with the team's own options that Hydra would pass over, or tell in no words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from sweeper.project.project import SHIPPED_CONF, Project

# Hydra reads an option's package from the comments at its beginning.
_HEAD_CHARACTERS = 512
_PACKAGE = re.compile(r"^\s*#\s*@package\s+\S", re.MULTILINE)


def misplaced_options(project: Project, choices: Mapping[str, Any]) -> list[str]:
    """Return a line for each option whose keys would land in its group's node, and change nothing of what is trained.

    Args:
        project: whose options they are.
        choices: group to chosen option.
    """
    conf = project.conf
    if conf is None:
        return []
    chosen = [f"{group}/{option}" for group, option in choices.items() if isinstance(option, str)]
    used = dict.fromkeys(name for start in chosen for name in _followed(conf, start))
    return [
        f"no package in {conf / f'{name}.yaml'}: without one its keys become {PurePosixPath(name).parent}.KEY; "
        "write as its first line: # @package _global_"
        for name in used
        if (SHIPPED_CONF / name).parent.is_dir() and not _PACKAGE.search(_read(conf, name)[:_HEAD_CHARACTERS])
    ]


def unreadable_options(project: Project) -> list[str]:
    """Return a line for each option that Hydra gives up on without its name: no text, or in a circle."""
    conf = project.conf
    paths = sorted(conf.rglob("*.yaml")) if conf is not None else []
    return _no_texts(paths) or ([] if conf is None else _circles(conf, paths))


def _no_texts(paths: Sequence[Path]) -> list[str]:
    problems = []
    for path in paths:
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            problems.append(f"broken text in {path}: no UTF-8 at byte {error.start}; save it as UTF-8")
    return problems


def _circles(conf: Path, paths: Sequence[Path]) -> list[str]:
    names = [path.relative_to(conf).with_suffix("").as_posix() for path in paths]
    return [
        f"option extends itself in {conf / f'{name}.yaml'}: its defaults lead back to {name}; one that stands for "
        "another of the same name cannot extend that one: give it a name of its own"
        for name in names
        if any(name in _followed(conf, other) for other in _defaults(conf, name))
    ]


def _followed(conf: Path, start: str) -> list[str]:
    """Return an option and those that it extends, as far as they are the project's own."""
    found: list[str] = []
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found and (conf / f"{name}.yaml").is_file():
            found.append(name)
            waiting += _defaults(conf, name)
    return found


def _defaults(conf: Path, name: str) -> Iterator[str]:
    """Yield the options that an option extends; what is no YAML is told by whoever composes."""
    try:
        content = yaml.safe_load(_read(conf, name))
    except yaml.YAMLError:
        return
    entries = content.get("defaults") if isinstance(content, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, str) and entry != "_self_":
            plain = entry.partition("@")[0]
            yield plain[1:] if plain.startswith("/") else (PurePosixPath(name).parent / plain).as_posix()


def _read(conf: Path, name: str) -> str:
    return (conf / f"{name}.yaml").read_text(encoding="utf-8", errors="replace")
