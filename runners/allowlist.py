"""What a config may name: parts that registries know, MMDetection's or the project's own, and no other code.

MMEngine looks a ``type`` up in its registries and, where it is in none, imports it by its dotted path and calls it with
what stands beside it (``type: shutil.copy``); mmcv evaluates the name of a non-maximum suppression as Python. All that
a config names is checked here before anything is built from it.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from runners.contract.errors import UserError
from runners.hooks.custom import KEY, hook_problem
from runners.registered import HOOKS, known_names, registry_of, without_scope

# Keys whose value MMEngine looks up in a registry.
_NAMING_KEYS = ("type", "constructor", "ema_type")
# Keys by which MMEngine or Hydra would import, call, or replace parts of the config; and what to write instead.
_PLUGINS = "code of your own comes in by plugins=[PACKAGE]"
_REFUSED_KEYS = {
    "_base_": "detector=file detector.config=FILE runs a config of MMDetection with what it is based on",
    "_delete_": "leave it out",
    "_scope_": f"write SCOPE.NAME as the type; {_PLUGINS}",
    "_target_": f"write a registered name as the type; {_PLUGINS}",
    "_args_": "leave it out",
    "_partial_": "leave it out",
    "custom_imports": _PLUGINS,
    "custom_hooks": "hooks stand at the top of the config, not in a part of it",
}
# With these in a key, the job's ``config.py`` would hold code instead of a key.
_REFUSED_IN_KEYS = "'\\\n\r"

_N_NEAREST = 3


def refuse_foreign_code(config: Mapping[str, Any]) -> None:
    """Check everything in a job's config that names code; plug-ins are to be imported before.

    Raises:
        UserError: names that no registry has, and keys that would have other code run, each with its place.
    """
    problems = list(_Search().problems(config, ""))
    if problems:
        raise UserError(*problems)


class _Search:
    """Goes through one config, with the names that are known now: plug-ins bring more of them."""

    def __init__(self) -> None:
        self._names = known_names()
        self._hooks = known_names(HOOKS)

    def problems(self, value: Any, place: str) -> Iterator[str]:
        """Yield a line for each thing in a part of the config that may not be there."""
        if isinstance(value, Mapping):
            for key, entry in value.items():
                inner = f"{place}.{key}" if place else str(key)
                if key in _REFUSED_KEYS and inner != KEY:
                    yield f"key not allowed in {inner}: {entry!r}; a job's config is plain data: {_REFUSED_KEYS[key]}"
                elif any(character in str(key) for character in _REFUSED_IN_KEYS):
                    yield f"characters not allowed in key {inner!r}: quote, backslash or line break; rename it"
                elif key in _NAMING_KEYS:
                    yield from self._name_problems(entry, inner)
                else:
                    yield from self.problems(entry, inner)
        elif isinstance(value, list | tuple):
            for number, entry in enumerate(value):
                yield from self.problems(entry, f"{place}[{number}]")

    def _name_problems(self, value: Any, place: str) -> Iterator[str]:
        holder = registry_of(place)
        if isinstance(value, list | tuple):
            for number, entry in enumerate(value):
                yield from self._name_problems(entry, f"{place}[{number}]")
            return
        if not isinstance(value, str):
            yield f"unknown name in {place}: {value!r}; wanted the name of a part of MMDetection"
            return
        allowed = self._hooks if holder == HOOKS else self._names
        name = without_scope(value)
        if name in allowed:
            problem = hook_problem(name, place) if holder == HOOKS else None
            yield from [problem] if problem else []
            return
        near = known_names(holder) if holder else allowed
        nearest = difflib.get_close_matches(value.rpartition(".")[2], near, _N_NEAREST)
        choices = f"the nearest are {', '.join(nearest)}" if nearest else "nothing has a name like it"
        where = f"the registry {holder}" if holder else "MMDetection's registries"
        yield (
            f"unknown name in {place}: {value}; looked up in {where}: {choices}; if it is yours, name the package that "
            "registers it in plugins=[PACKAGE]"
        )
