"""Whether Python and the installed packages fit together, read from their own metadata; nothing is imported for it."""

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from sweeper.doctor.finding import Finding, ok, problem
from sweeper.stored.versions import STACK, stack_versions

DETSWEEP = "detsweep"
# Two packages that bring the same module: one of them is enough.
STANDS_FOR = {"mmcv-lite": "mmcv"}
# What mmdet asserts when it is imported; its metadata say so only of an extra.
MMDETS_MMCV = SpecifierSet(">=2.0.0rc4,<2.2.0")


def examine_software(versions: Mapping[str, str] | None = None) -> list[Finding]:
    """Return a line about Python, and one about the packages.

    Args:
        versions: package to version; those that are installed by default.
    """
    return [_python(), _packages(stack_versions() if versions is None else versions)]


def _python() -> Finding:
    version = platform.python_version()
    wanted = metadata.metadata(DETSWEEP)["Requires-Python"]
    text = f"{version} ({sys.executable})"
    if SpecifierSet(wanted).contains(version):
        return ok("Python", text)
    return problem("Python", f"{text}; detsweep runs on {wanted}", "make an environment with such a Python")


def _packages(versions: Mapping[str, str]) -> Finding:
    unmet = list(_unmet(versions))
    if unmet:
        advice = "install detsweep anew into an empty environment, or these versions by hand"
        return problem("packages", "; ".join(unmet), advice)
    shown = [f"{name} {version}" for name, version in versions.items() if name != "python"]
    return ok("packages", f"{', '.join(shown)} fit together")


def _unmet(versions: Mapping[str, str]) -> Iterator[str]:
    for package in (name for name in STACK if name in versions):
        for line in metadata.requires(package) or []:
            wanted = Requirement(line)
            if wanted.name not in STACK or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            other = STANDS_FOR.get(wanted.name, "")
            found = versions.get(wanted.name) or versions.get(other)
            if found is None:
                yield f"{package} wants {wanted.name}{wanted.specifier}, which is not installed"
            elif wanted.name in versions and not wanted.specifier.contains(found, prereleases=True):
                yield f"{package} wants {wanted.name}{wanted.specifier}, found {found}"
    mmcv = versions.get("mmcv") or versions.get("mmcv-lite")
    if mmcv is not None and not MMDETS_MMCV.contains(mmcv, prereleases=True):
        yield f"mmdet wants mmcv{MMDETS_MMCV}, found {mmcv}"
    if "mmcv" in versions and "mmcv-lite" in versions:
        yield "mmcv and mmcv-lite are both installed, and each overwrites the other's files"
