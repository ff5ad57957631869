"""Which compiled operators of mmcv a model wants, and whether they are there; told before anything is built."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mmcv.ops
from mmdet.registry import MODELS, TASK_UTILS

from runners import ops
from runners.contract.errors import UserError
from runners.ops.references import called_ops

# An operator's forward and backward are one thing to who reads of it.
_PASS = re.compile(r"_(forward|backward).*$")


@dataclass(frozen=True)
class NeededOp:
    """An operator of mmcv that a part of a model may call.

    Attributes:
        name: mmcv's name, without which pass it is (``deform_conv``).
        where: the part's place in the config, ``model.backbone.dcn``; the innermost one of several.
        part: the part's ``type``.
        is_served: whether it can be called here.
        instead: what stands in for mmcv's compiled operator; empty where that one is installed, or nothing does.
    """

    name: str
    where: str
    part: str
    is_served: bool
    instead: str


def ops_of(model_config: Mapping[str, Any], place: str = "model") -> list[NeededOp]:
    """Return the operators that a model's parts may call, sorted by name; found without building or running any.

    Args:
        model_config: the model as MMDetection takes it; each ``type`` in it is looked up in the registries.
        place: of the model in its config.
    """
    is_bridged = ops.install()
    found: dict[str, NeededOp] = {}
    for part, where in _parts(model_config, place):
        code = _code_of(part)
        by_name: dict[str, list[str]] = {}
        for op in called_ops(code) if code is not None else ():
            by_name.setdefault(_PASS.sub("", op), []).append(op)
        for name, passes in by_name.items():
            known = found.get(name)
            if known is None or known.where.count(".") < where.count("."):
                found[name] = _needed(name, passes, where, part, is_bridged)
    return [found[name] for name in sorted(found)]


def refuse_unserved(needed: Sequence[NeededOp]) -> None:
    """Check that all operators are there.

    Raises:
        UserError: some are not, a line for each.
    """
    problems = [
        f"mmcv operator '{op.name}' wanted by {op.where} ({op.part}): not served; leave that part out, or install a "
        "compiled mmcv 2.1.0"
        for op in needed
        if not op.is_served
    ]
    if problems:
        raise UserError(*problems)


def told(needed: Sequence[NeededOp]) -> str:
    """Return which operators a model wants and what serves them, in one line; empty if it wants none."""
    by_server: dict[str, list[str]] = {}
    for op in needed:
        by_server.setdefault(op.instead or "mmcv", []).append(op.name)
    served = "; ".join(f"{', '.join(names)} by {server}" for server, names in sorted(by_server.items(), reverse=True))
    return f"mmcv operators: {served}" if served else ""


def _needed(name: str, passes: Sequence[str], where: str, part: str, is_bridged: bool) -> NeededOp:
    if not is_bridged:
        return NeededOp(name, where, part, is_served=True, instead="")
    from runners.ops.served import BY  # a compiled mmcv needs none of them

    servers = [BY.get(op, "") for op in passes]
    return NeededOp(name, where, part, is_served=all(servers), instead=servers[0] if all(servers) else "")


def _parts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield each ``type`` in a nested config with the place of what has it."""
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"], place
        for key, entry in value.items():
            yield from _parts(entry, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _parts(entry, f"{place}[{number}]")


def _code_of(part: str) -> Any:
    """Return the class or function that a ``type`` names, None where it is one of mmcv's or mmdet's own words."""
    for registry in (MODELS, TASK_UTILS):
        code = registry.get(part)
        if code is not None:
            return code
    # Regions of interest are cut out, and boxes suppressed, by operators that are named as they are.
    return getattr(mmcv.ops, part, None)
