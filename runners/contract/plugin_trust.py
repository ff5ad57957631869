"""Whose code may run: plug-ins that this user planned a sweep with, or has looked at and said so.

A sweep's folder may come from somebody else, and so does the code in it, which evaluating or resuming would run. What
is trusted is therefore no matter of the folder: the user's own list of digests says it.
"""

import os
from pathlib import Path

from runners.contract.errors import UserError
from runners.contract.plugin_sources import N_DIGITS

# On the command line: digests of plug-ins of another's sweep that are meant to run.
TRUST = "trust_plugins"


def trust_file() -> Path:
    """Return the file of the digests, one a line; it need not be there."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "detsweep" / "trusted_plugins"


def trust(digest: str) -> None:
    """Remember plug-ins as this user's own, or as consented to.

    Raises:
        OSError: the list cannot be written.
    """
    if is_trusted(digest):
        return
    path = trust_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, f"{digest}\n".encode())
    finally:
        os.close(descriptor)


def is_trusted(digest: str) -> bool:
    """Whether this user has planned with these plug-ins, or consented to them."""
    try:
        return digest in trust_file().read_text(encoding="utf-8").split()
    except OSError:
        return False


def refuse_foreign_plugins(copy: Path, digest: str, consented: str = "") -> None:
    """Refuse another's code unless it is consented to.

    Args:
        copy: where the sources lie, to look at.
        digest: of them.
        consented: what was given as ``trust_plugins=``: beginnings of digests, commas between them.

    Raises:
        UserError: the plug-ins are not this user's.
    """
    typed = [word for word in consented.split(",") if len(word) >= N_DIGITS]
    if is_trusted(digest) or any(digest.startswith(word) for word in typed):
        return
    raise UserError(
        f"plugin code in {copy}: not from a sweep that you started, and going on would run it as you; look at it, and "
        f"if you trust it add {TRUST}={digest[:N_DIGITS]}"
    )
