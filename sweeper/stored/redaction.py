"""Secrets are cut from whatever is written down, shown or logged."""

import re

MASK = "://***@"


def without_password(text: str) -> str:
    """Return a text with the user and password of every address in it replaced by ``***``."""
    # Up to the last @ before the path: a password may hold one itself.
    return re.sub(r"://[^/\s]*@", MASK, text)
