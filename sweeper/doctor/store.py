"""Whether the tracking store can be reached, is of this MLflow's schema, can be written, and how much it holds.

MLflow itself takes seconds to be imported, and makes or changes what it opens: a database is read as one here.
"""

import base64
import http.client
import json
import os
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sweeper.doctor.finding import Finding, ok, problem, warning
from sweeper.planning.zoo import package_folder
from sweeper.stored.redaction import without_password
from sweeper.tracking.store_probe import PROBE_S, StoreAwayError, database_file, probe_store
from sweeper.view.wording import count

SUBJECT = "MLflow store"
REVISION = re.compile(r"^(down_)?revision\b[^=]*=\s*(.+)$", re.MULTILINE)
NAME = re.compile(r"[\"']([0-9a-f]+)[\"']")
# A server is asked for no more runs than this: whether it is one or many is what matters.
N_RUNS_ASKED = 1000


def examine_store(uri: str, experiment: str) -> Finding:
    """Return what is to be said of a tracking store.

    Args:
        uri: ``sqlite:///...``, ``http(s)://...`` or another database's address.
        experiment: the experiment's name.
    """
    shown = without_password(uri)
    database = database_file(uri)
    if uri.startswith(("file:", "/", ".")):
        return problem(
            SUBJECT, f"{shown} is a folder, which MLflow no longer takes", "name tracking.uri=sqlite:///FILE"
        )
    try:
        probe_store(uri)
    except StoreAwayError as error:
        advice = "runs stay in their sweeps meanwhile (detsweep sync ships them); see that it is up"
        return problem(SUBJECT, f"{shown} does not answer: {error}", advice)
    if database is not None:
        return _examine_file(database)
    if uri.startswith(("http://", "https://")):
        return _examine_server(uri, shown, experiment)
    return warning(SUBJECT, f"{shown} is neither a SQLite file nor a server: not asked", "give a server's address")


def _examine_file(path: Path) -> Finding:
    if not path.exists():
        return ok(SUBJECT, f"{path} is made by the first sweep")
    if path.stat().st_size == 0:
        return ok(SUBJECT, f"{path} is empty; its tables are made by the first sweep")
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        return problem(SUBJECT, f"{path} may be read and not written", "have file and folder made writable for you")
    connection = sqlite3.connect(path, timeout=PROBE_S)
    try:
        revision = _only(connection, "SELECT version_num FROM alembic_version")
        n_runs = _only(connection, "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'")
        connection.execute("BEGIN IMMEDIATE")  # as a writer begins; nothing is written
        connection.rollback()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return problem(SUBJECT, f"{path} is locked by another process", "end what holds it (fuser FILE tells)")
        return problem(SUBJECT, f"{path} is no database of MLflow: {error}", "name another with tracking.uri=")
    finally:
        connection.close()
    return _judge_schema(str(path), str(revision), f"{count(int(n_runs), 'run')} in {path}", f"sqlite:///{path}")


def _only(connection: sqlite3.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def _judge_schema(place: str, revision: str, text: str, uri: str) -> Finding:
    newest, known = installed_schema()
    if revision == newest:
        return ok(SUBJECT, f"{text}, schema {revision} as this MLflow's")
    if revision in known:
        advice = f"copy the file, then: mlflow db upgrade {uri}"
        return problem(SUBJECT, f"{place} has the older schema {revision}, this MLflow wants {newest}", advice)
    advice = "install the MLflow that wrote it, or name another store with tracking.uri="
    return problem(SUBJECT, f"{place} has schema {revision}, which this MLflow does not know", advice)


def installed_schema() -> tuple[str, frozenset[str]]:
    """Return the newest schema of the installed MLflow and all that it can upgrade from, read from its migrations."""
    revisions: set[str] = set()
    older: set[str] = set()
    for file in (package_folder("mlflow") / "store" / "db_migrations" / "versions").glob("*.py"):
        for is_down, value in REVISION.findall(file.read_text(encoding="utf-8")):
            (older if is_down else revisions).update(NAME.findall(value))
    (newest,) = revisions - older
    return newest, frozenset(revisions)


def _examine_server(uri: str, shown: str, experiment: str) -> Finding:
    advice = "see that MLflow listens there"
    try:
        version = _ask(uri, "version").strip()
    except urllib.error.HTTPError as error:
        error.close()
        return _refused(shown, error.code) or problem(SUBJECT, f"{shown} does not answer as MLflow: {error}", advice)
    except (OSError, http.client.HTTPException) as error:
        return problem(SUBJECT, f"{shown} does not answer as MLflow: {error}", advice)
    try:
        path = f"api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(experiment)}"
        found = json.loads(_ask(uri, path))["experiment"]
        runs = json.loads(_ask(uri, "api/2.0/mlflow/runs/search", _search([found["experiment_id"]])))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return ok(SUBJECT, f"{shown}, MLflow {version}; experiment {experiment} is made by the first sweep")
        return _refused(shown, error.code) or problem(SUBJECT, f"{shown} answers {error}", advice)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return problem(SUBJECT, f"{shown} answers, but not as MLflow: {error}", advice)
    if found.get("lifecycle_stage") == "deleted":
        advice = "restore it, or name another with tracking.experiment="
        return problem(SUBJECT, f"{shown}: experiment {experiment} is deleted", advice)
    n_runs = len(runs.get("runs", []))
    more = " or more" if n_runs == N_RUNS_ASKED else ""
    return ok(SUBJECT, f"{shown}, MLflow {version}; {count(n_runs, 'run')}{more} in experiment {experiment}")


def _refused(shown: str, code: int) -> Finding | None:
    """Return what is to be said if a server wants to know who asks, or does not like who does."""
    if code not in (401, 403):
        return None
    advice = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return warning(SUBJECT, f"{shown} answers and wants to know who asks ({code})", advice)


def _search(experiments: Sequence[str]) -> Mapping[str, Any]:
    return {"experiment_ids": list(experiments), "max_results": N_RUNS_ASKED}


def _ask(uri: str, path: str, body: Mapping[str, Any] | None = None) -> str:
    parts = urlsplit(uri)
    # urllib would take name and password for a part of the host's name.
    name, host = parts.netloc.rpartition("@")[::2]
    request = urllib.request.Request(f"{parts.scheme}://{host}{parts.path.rstrip('/')}/{path}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    user, password = map(os.environ.get, ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"))
    who = unquote(name) or (f"{user}:{password}" if user and password else "")
    if who:
        # Not sent on to wherever an answer redirects.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(who.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=PROBE_S) as response:
        text: str = response.read().decode("utf-8", "replace")
    return text
