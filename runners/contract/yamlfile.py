"""YAML as plain data, by the C library where PyYAML has it: a sweep of thousands of jobs waits for nothing else."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dump_yaml(value: Any) -> str:
    """Return plain data as YAML, keys in their order, letters of any script as they are."""
    text: str = yaml.dump(value, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
    return text


def load_yaml(text: str) -> Any:
    """Return what YAML holds, plain data only.

    Raises:
        yaml.YAMLError: it is none.
    """
    return yaml.load(text, Loader=_LOADER)


# A list whose entries `dump_entries` wrote, one a line.
_ENTRIES = re.compile(r"(\w+):\n((?:- \{.*\}\n)+)")
# What YAML takes only as an escape, of which JSON leaves some as they are.
_NOT_PLAIN = re.compile(r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def dump_entries(key: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a long list of mappings under a key as YAML, an entry a line, which `YamlParts` reads as JSON: at once."""
    text = "".join(f"- {json.dumps(entry, ensure_ascii=False)}\n" for entry in entries)
    return f"{key}:\n{text}" if entries and not _NOT_PLAIN.search(text) else dump_yaml({key: list(entries)})


# A line that begins a key of the whole: nothing of a nested value, a list's entry or a comment begins at the margin.
_KEY = re.compile(r"^(?=[^\s#-])", re.MULTILINE)


class YamlParts:
    """Writes and reads mappings that have most of their parts in common, such as the configs of one sweep.

    What stands under a key is written once for each object, and parsed once for each text. Parts that were read may
    therefore be the same object in several mappings: none of them may be changed.
    """

    def __init__(self) -> None:
        # With the object itself, which keeps its number from being given to another.
        self._texts: dict[tuple[str, int], tuple[Any, str]] = {}
        self._parts: dict[str, dict[str, Any]] = {}

    def dump(self, value: Mapping[str, Any]) -> str:
        """Return a mapping as YAML that reads as that of `dump_yaml` does."""
        return "".join(self._text(key, part) for key, part in value.items())

    def load(self, text: str) -> Any:
        """Return what `load_yaml` returns.

        Raises:
            yaml.YAMLError: it is no YAML.
        """
        whole: dict[str, Any] = {}
        for block in filter(None, _KEY.split(text)):
            part = self._part(block)
            if part is None:
                return load_yaml(text)
            whole |= part
        return whole or load_yaml(text)

    def _text(self, key: str, part: Any) -> str:
        if not isinstance(part, dict | list):
            return dump_yaml({key: part})
        known = self._texts.get((key, id(part)))
        if known is None:
            known = self._texts[key, id(part)] = part, dump_yaml({key: part})
        return known[1]

    def _part(self, block: str) -> dict[str, Any] | None:
        """Return what one key's text says; None if it says it together with another's, or nothing sound."""
        entries = _ENTRIES.fullmatch(block)
        if entries is not None:
            try:
                return {entries[1]: [json.loads(line[2:]) for line in entries[2].split("\n")[:-1]]}
            except ValueError:
                return None
        if block not in self._parts:
            try:
                part = load_yaml(block)
            except yaml.YAMLError:
                return None
            if not isinstance(part, dict):
                return None
            self._parts[block] = part
        return self._parts[block]
