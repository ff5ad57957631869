"""Looks after a tracking store before MLflow is trusted with it: it answers at all, and nobody else is just making it.

MLflow takes seconds to be imported, waits for minutes on a database that somebody else has locked, and fails where two
processes make the same one.
"""

import fcntl
import os
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

SQLITE = "sqlite:///"
PROBE_S = 5.0
# How long the first of several sweeps may take to make a database before the others give up waiting for it.
MIGRATION_S = 120.0


class StoreAwayError(Exception):
    """The store does not answer, or cannot be written now; it may later."""


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for a store of another kind."""
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def probe_store(uri: str) -> None:
    """Ask a store for any answer.

    Raises:
        StoreAwayError: it gives none, or one that says it is in trouble.
    """
    database = database_file(uri)
    if database is not None:
        _probe_database(database)
    elif uri.startswith(("http://", "https://")):
        _probe_server(uri)


def _probe_database(path: Path) -> None:
    if not path.exists():
        return  # the first sweep makes it
    try:
        connection = sqlite3.connect(path, timeout=PROBE_S)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise StoreAwayError(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise StoreAwayError(f"{error}; restore the file, or name another with tracking.uri=") from None


def _probe_server(uri: str) -> None:
    parts = urlsplit(uri)
    # The name and password go with MLflow's own requests; urllib would take them for a part of the host's name.
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=PROBE_S):
            return
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:
            raise StoreAwayError(f"it answers {error.code} {error.reason}") from None
        # Whoever refuses this page is there all the same.
    except TimeoutError:
        raise StoreAwayError(f"no answer within {PROBE_S:.0f} s") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise StoreAwayError(f"no answer within {PROBE_S:.0f} s") from None
        # Which certificates are good is MLflow's own setting.
        if not isinstance(error.reason, ssl.SSLError):
            raise StoreAwayError(getattr(error.reason, "strerror", None) or str(error.reason)) from None
    except (OSError, ValueError) as error:
        raise StoreAwayError(str(error) or type(error).__name__) from None


@contextmanager
def one_at_a_time(database: Path | None) -> Iterator[None]:
    """Have several sweeps open a database one by one: its tables are made once, and two at once would both fail.

    Raises:
        StoreAwayError: another has been at it for too long, or the folder cannot be written.
    """
    if database is None:
        yield
        return
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        # No mode of its own: the umask says who else may open it.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(database.with_name(f"{database.name}.lock"), flags, 0o666)
    except OSError as error:
        raise StoreAwayError(f"{error.strerror}: {error.filename}") from None
    try:
        deadline = time.monotonic() + MIGRATION_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreAwayError(f"another process has been opening {database} for too long") from None
                time.sleep(0.1)
        # Empty until its tables are made; SQLite itself would make a file that a group may read and not write.
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))
        yield
    finally:
        os.close(descriptor)
