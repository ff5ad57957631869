"""YAML as plain data, by the C library where PyYAML has it: a sweep of thousands of jobs waits for nothing else."""

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
