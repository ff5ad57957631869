"""What there is to choose from: the groups, their options, what each is for, and whose it is."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.forecast.complexity import GROUPS as GROUPS_WITH_SIZE
from sweeper.forecast.complexity import find_complexity
from sweeper.planning.compose import Composer

# What our own groups are for, in the order in which people think of them; a team's own groups follow.
PURPOSES: Mapping[str, str] = {
    "detector": "how boxes are found in the features",
    "backbone": "what turns an image into features",
    "neck": "what joins the features of several scales",
    "box_loss": "what a wrong box costs",
    "image_size": "the pixels that training and testing see",
    "augment": "how training images are varied",
    "optimizer": "how weights are moved, with its rate for a batch of 16",
    "schedule": "how many epochs, and when the rate falls",
    "weights": "what the weights are before training",
    "width": "how wide neck and heads are",
    "dataset": "the images and their boxes",
    "tracking": "where runs are logged",
    "recipe": "a whole command line under one name",
    "search": "where trials are looked for, how, and for how long",
    "hypothesis": "a claim, with its arms and its blocks",
}
# Chosen by other groups, never by a person.
HIDDEN = ("hydra", "optimizer_defaults")
PACKAGE = re.compile(r"#\s*@package\b")
COMMAND = re.compile(r"#\s*(detsweep\s.+)")


@dataclass(frozen=True)
class Option:
    """One choice of a group.

    Attributes:
        name: what stands behind ``GROUP=``.
        purpose: what it is for, in a line; empty where its file does not say.
        command: a command line that uses it.
        file: where it stands.
        is_own: whether it is the team's own, and not shipped.
        hides_shipped: whether it stands in for a shipped one of the same name.
        parameters_m: millions of parameters of the detector with this option and else the default ones, with COCO's 80
            classes; None where that was not counted, or where the group has nothing to do with it.
    """

    name: str
    purpose: str
    command: str
    file: Path
    is_own: bool
    hides_shipped: bool
    parameters_m: float | None


@dataclass(frozen=True)
class OptionGroup:
    """A group with its options.

    Attributes:
        name: what stands before ``=``.
        purpose: what it decides; empty for a team's own.
        default: the option that is taken without a word; None if none is.
        options: the default first, then the smaller before the larger where that is known, then by name.
    """

    name: str
    purpose: str
    default: str | None
    options: Sequence[Option]


def find_groups(composer: Composer, shipped: Path) -> list[OptionGroup]:
    """Return all groups that a person may choose from.

    Args:
        composer: knows the folders of groups.
        shipped: the folder of our own groups.
    """
    names = [name for name in composer.groups() if name not in HIDDEN]
    order = [*(name for name in PURPOSES if name in names), *(name for name in names if name not in PURPOSES)]
    return [group for group in (_group(name, composer, shipped.absolute()) for name in order) if group.options]


def _group(name: str, composer: Composer, shipped: Path) -> OptionGroup:
    default = composer.defaults.get(name)
    options = [_option(name, option, composer, shipped) for option in composer.groups()[name]]
    options.sort(key=lambda option: (option.name != default, option.parameters_m or math.inf, _by_number(option.name)))
    return OptionGroup(name, PURPOSES.get(name, ""), default, options)


def _option(group: str, name: str, composer: Composer, shipped: Path) -> Option:
    files = [folder / group / f"{name}.yaml" for folder in composer.folders()]
    found = [file for file in files if file.is_file()]
    is_own = found[0].parent.parent != shipped
    purpose, command = _read_head(found[0])
    parameters_m = None
    if group in GROUPS_WITH_SIZE and not is_own:
        choices = {key: str(value) for key, value in composer.defaults.items()} | {group: name}
        complexity = find_complexity(choices)
        parameters_m = complexity.parameters_m if complexity else None
    command = command or f"detsweep train {group}={name}"
    return Option(
        name, purpose, command, found[0], is_own, is_own and shipped / group / f"{name}.yaml" in found, parameters_m
    )


def _read_head(file: Path) -> tuple[str, str]:
    """Return the first comment line that says what a file is for, and the command above it."""
    purpose = command = ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            break
        if (match := COMMAND.match(text)) and not command:
            command = match[1].strip()
        elif not PACKAGE.match(text) and text.strip("# ") and not purpose:
            purpose = text.lstrip("# ")
    return purpose, command


def _by_number(name: str) -> tuple[str, int, str]:
    """Order ``96px`` before ``512px``, and ``resnet18`` before ``resnet101``."""
    match = re.match(r"(\D*)(\d+)?(.*)", name)
    assert match is not None
    return match[1], int(match[2] or 0), match[3]
