"""Which tracking store the settings name, what every run carries there, and where its pages are."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runners.contract.errors import UserError
from runners.contract.trials import TrialRecord
from sweeper.stored.redaction import without_password
from sweeper.stored.versions import git_commit, stack_versions
from sweeper.tracking.mlflow_store import MAX_TAG_CHARS, MlflowStore, StoreRefusesError, describe_error
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.store_probe import StoreAwayError, database_file

# A longer list of runs makes an address that nobody can copy.
N_COMPARED = 12


def tracking_settings(tracking: Mapping[str, Any], output_dir: Path) -> TrackingSettings:
    """Return the store that the setting `tracking` names; a SQLite store stands in the output folder by default."""
    uri = tracking["uri"]
    if uri is None and tracking["name"] == "sqlite":
        uri = f"sqlite:///{output_dir / 'mlflow.db'}"
    # A server keeps files where it likes; a database of ours would put them into whatever the working directory is.
    artifacts = output_dir / "artifacts" if uri is not None and uri.startswith("sqlite:") else None
    # A sweep that was stored before there was this setting does not have it.
    is_required = bool(tracking.get("required", False))
    return TrackingSettings(uri, tracking["experiment"], artifacts, tracking["log_checkpoints"], is_required)


def check_store(settings: TrackingSettings) -> None:
    """Make sure that a store which is required can be opened; one that is not required is left to the outbox.

    Raises:
        UserError: it cannot, or there is none.
    """
    if not settings.required:
        return
    without = "or go on without: tracking.required=false"
    if settings.uri is None:
        raise UserError(f"no tracking store in tracking.required: true with tracking=off; name a store, {without}")
    try:
        MlflowStore(settings.uri, settings.experiment, settings.artifacts)
    except (StoreAwayError, StoreRefusesError) as error:
        where = describe_error(error, settings.uri)
        raise UserError(f"tracking store in tracking.uri: {where}; see that it is up, {without}") from None


def readable_store(settings: TrackingSettings) -> str | None:
    """Return the address of a store that may be read; None where nothing has been tracked yet."""
    database = None if settings.uri is None else database_file(settings.uri)
    return None if database is not None and not database.exists() else settings.uri


def version_tags(versions: Mapping[str, str]) -> dict[str, str]:
    """Return versions of the stack as tags of a run."""
    return {f"detsweep.version.{package}": version for package, version in versions.items()}


def sweep_tags(
    command: Sequence[str], settings: Mapping[str, Any], axes: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return what a sweep's own run carries: its command, its axes, the claim that it puts to the test, its search.

    All of these are tags: an axis that `add` makes longer could not be told as a parameter, which is written once.

    Args:
        command: the command line.
        settings: the sweep's own.
        axes: what it varies.
    """
    claim = settings.get("hypothesis")
    told = {} if claim is None else {"detsweep.hypothesis": json.dumps(claim, ensure_ascii=False)}
    search = settings.get("search")
    told |= {} if search is None else json_tags("detsweep.search", search)
    varied = {f"axis/{key}": ",".join(map(str, values)) for key, values in axes.items()}
    return {"detsweep.command": shlex.join(command), **varied, **told}


def warm_tags(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Return what a search's own run carries of the finished runs that it was told of; nothing where there are none."""
    return json_tags("detsweep.warm", [trial.describe() for trial in trials]) if trials else {}


def json_tags(name: str, value: Any) -> dict[str, str]:
    """Return a value as JSON in a tag and, where one does not hold it, in more behind it: ``name``, ``name.2``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    starts = range(0, len(text), MAX_TAG_CHARS)
    return {
        name if number == 1 else f"{name}.{number}": text[start : start + MAX_TAG_CHARS]
        for number, start in enumerate(starts, start=1)
    }


def run_tags() -> dict[str, str]:
    """Return what every run of a sweep carries: the versions of the stack, and the commit it was started from."""
    commit = git_commit()
    versions = version_tags(stack_versions())
    return {**versions, "mlflow.source.git.commit": commit} if commit else versions


def page_lines(uri: str, experiment_id: str, run_ids: Sequence[str]) -> list[str]:
    """Return how to look at a sweep's runs: the command that opens MLflow's UI on this machine only, and the page."""
    if len(run_ids) <= N_COMPARED:
        # Parallel coordinates of exactly these runs; the experiment's list has them folded under the sweep's run.
        runs, experiments = quote(json.dumps(list(run_ids))), quote(json.dumps([experiment_id]))
        page = f"#/compare-runs?runs={runs}&experiments={experiments}"
    else:
        # Without the type MLflow opens its view of language models, which shows none of our runs.
        page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    if uri.startswith("http"):
        return [f"MLflow: {without_password(uri).rstrip('/')}/{page}"]
    program = shlex.quote(str(Path(sys.executable).with_name("mlflow")))
    # One worker and no job execution: a tenth of the memory, and nothing that runs code for whoever asks. A password is
    # for the person to fill in: terminals are seen and logged.
    shown = shlex.quote(without_password(uri))
    command = f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {program} ui -w 1 --backend-store-uri {shown}"
    return [f"MLflow: {command}", f"then open http://127.0.0.1:5000/{page}"]
