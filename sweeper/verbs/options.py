"""``detsweep options``: the groups, their options and what each is for, shipped and the team's own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runners.contract.errors import UserError
from sweeper.verbs.option_groups import Option, OptionGroup, find_groups
from sweeper.verbs.report import open_console
from sweeper.verbs.words import did_you_mean, read_words
from sweeper.view.wording import one_line

OWN = "*"


def run_options(words: Sequence[str]) -> int:
    """Carry ``detsweep options [GROUP] [--json]`` out.

    Returns:
        0.

    Raises:
        UserError: no such group, or a config that cannot be composed.
    """
    asked = read_words("options", words, ("--json",))
    groups = all_groups()
    if asked.name is not None:
        groups = [group for group in groups if group.name == asked.name] or _refuse(asked.name, groups)
    if "--json" in asked.flags:
        print(json.dumps({"groups": [_plain(group) for group in groups]}, ensure_ascii=False))
        return 0
    console = open_console()
    if asked.name is None:
        _print_groups(groups, console)
    else:
        _print_group(groups[0], console)
    return 0


def all_groups() -> list[OptionGroup]:
    """Return the groups of this folder: the team's own and ours.

    Raises:
        UserError: a config that cannot be composed.
    """
    import conf
    from sweeper.planning.compose import Composer
    from sweeper.planning.resolvers import register

    register()
    shipped = Path(conf.__file__).parent
    return find_groups(Composer.of_folder(shipped), shipped)


def _refuse(name: str, groups: Sequence[OptionGroup]) -> list[OptionGroup]:
    holding = [group.name for group in groups if any(option.name == name for option in group.options)]
    if holding:
        raise UserError(f"no group '{name}' in detsweep options {name}: it is an option of {' and '.join(holding)}")
    names = [group.name for group in groups]
    raise UserError(
        f"no group '{name}' in detsweep options {name}{did_you_mean(name, names)}; groups are {', '.join(names)}"
    )


def _print_groups(groups: Sequence[OptionGroup], console: Console) -> None:
    table = _table()
    table.add_column("group", no_wrap=True)
    table.add_column("what it decides", min_width=24)
    table.add_column("options", overflow="fold")
    for group in groups:
        options = Text()
        for option in group.options:
            style = "bold" if option.name == group.default else ""
            options.append(f"{', ' if options else ''}")
            options.append(one_line(option.name) + (OWN if option.is_own else ""), style)
        table.add_row(Text(one_line(group.name)), Text(group.purpose), options)
    console.print(table)
    console.print()
    undecided = " or ".join(group.name for group in groups if group.default is None)
    only = f"; a {undecided} only if it is named" if undecided else ""
    _note(console, f"The first of a group is taken unless another is named{only}.")
    if any(option.is_own for group in groups for option in group.options):
        _note(console, f"{OWN} of this project's conf/")
    _note(console, "detsweep options GROUP tells what each is for.")


def _print_group(group: OptionGroup, console: Console) -> None:
    has_size = any(option.parameters_m is not None for option in group.options)
    has_own = any(option.is_own for option in group.options)
    if group.purpose:
        console.print(Text.assemble((group.name, "bold"), f": {group.purpose}"))
        console.print()
    table = _table()
    table.add_column("option", no_wrap=True)
    if has_own:
        table.add_column("whose", no_wrap=True)
    if has_size:
        table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("what for")
    for option in group.options:
        name = one_line(option.name)
        cells = [Text(name, "bold" if option.name == group.default else "")]
        if has_own:
            cells.append(Text(_whose(option)))
        if has_size:
            cells.append(Text("" if option.parameters_m is None else f"{option.parameters_m:.1f} M"))
        table.add_row(*cells, Text(one_line(option.purpose)))
    console.print(table)
    console.print()
    if group.default is not None:
        _note(console, f"{group.default} is taken unless another is named.")
    if has_size:
        _note(
            console, "Parameters are those of the whole detector, all other groups at their defaults, for 80 classes."
        )
    _note(console, f"for example: {group.options[0].command}")


def _whose(option: Option) -> str:
    if not option.is_own:
        return "shipped"
    return "own, over the shipped one" if option.hides_shipped else "own"


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")


def _note(console: Console, text: str) -> None:
    console.print(Text(text, "dim"), soft_wrap=True)


def _plain(group: OptionGroup) -> dict[str, Any]:
    options = [
        {
            "name": option.name,
            "purpose": option.purpose or None,
            "command": option.command,
            "file": str(option.file),
            "own": option.is_own,
            "over_shipped": option.hides_shipped,
            "parameters_m": option.parameters_m,
        }
        for option in group.options
    ]
    return {"group": group.name, "purpose": group.purpose or None, "default": group.default, "options": options}
