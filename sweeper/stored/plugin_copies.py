"""The copies of the project's own code in a sweep's folder, ``plugins/<digest>/``: all that its jobs ever import."""

import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from runners.contract.errors import UserError
from runners.contract.folder import SweepFolder
from runners.contract.plugin_sources import DIGEST, FOLDER, N_DIGITS, NAMES, find_copy, refuse_changed_copy
from runners.contract.plugin_trust import TRUST, refuse_foreign_plugins, trust, trust_file
from sweeper.planning.plugins import Plugins


def write_plugins(sweep: SweepFolder, plugins: Iterable[Plugins]) -> list[str]:
    """Copy plug-ins into a sweep's folder; what is there already, told by its digest, stays.

    The user has just asked for this code, so it is trusted from now on wherever a sweep's folder brings it along.

    Returns:
        Lines worth telling.
    """
    notices = []
    for each in plugins:
        if not each.digest:
            continue
        _write(sweep, each)
        try:
            trust(each.digest)
        except OSError as error:
            notices.append(
                f"plugins cannot be remembered as yours in {trust_file()} ({error.strerror}); detsweep resume will ask "
                f"for {TRUST}={each.digest[:N_DIGITS]}"
            )
    return notices


def check_plugins(sweep: SweepFolder, configs: Iterable[Mapping[str, Any]], consented: str = "") -> list[Plugins]:
    """Check that the code that jobs of a sweep would import is what was copied, and may run.

    Args:
        sweep: the sweep's folder.
        configs: of the jobs.
        consented: as for `refuse_foreign_plugins`; what is consented to is trusted from now on.

    Returns:
        Names and digest of each set of plug-ins, without the sources.

    Raises:
        UserError: it is not, or may not; all sets together.
    """
    problems: list[str] = []
    stored = {config[DIGEST]: tuple(config[NAMES]) for config in configs if config.get(DIGEST)}
    for digest, names in stored.items():
        try:
            copy = find_copy(sweep.path, digest)
            refuse_changed_copy(copy, names, digest)
            refuse_foreign_plugins(copy, digest, consented)
        except UserError as error:
            problems += error.problems
            continue
        with suppress(OSError):  # consented to now, and to be consented to again
            trust(digest)
    if problems:
        raise UserError(*problems)
    return [Plugins(names, digest) for digest, names in stored.items()]


def _write(sweep: SweepFolder, plugins: Plugins) -> None:
    folder = sweep.path / FOLDER / plugins.digest[:N_DIGITS]
    if folder.exists():
        return
    # Complete before it has its name: two who add jobs at once write the same.
    hidden = folder.with_name(f".{folder.name}.{os.getpid()}")
    for relative, content in plugins.sources.items():
        path = hidden / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        hidden.rename(folder)
    except OSError as error:
        shutil.rmtree(hidden)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
