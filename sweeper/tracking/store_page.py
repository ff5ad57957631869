"""The page of MLflow's UI that shows a comparison at once, and how the UI is started on this machine alone.

Which columns its table shows, MLflow's page keeps in the browser. What its own "Share" button makes is a tag of the
experiment, named in the address: such a tag is written here, and whoever opens the address sees the table as it says.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sweeper.tracking.mlflow_store import KIND, SWEEP

# Written by MLflow's "Share" button with a digest behind it.
SHARED, VIEW_KEY = "mlflow.sharedViewState.", "detsweep"
# Wide enough for a metric's name.
METRIC_PX = 160


def view_state(params: Sequence[str], metrics: Sequence[str]) -> str:
    """Return how the table of runs is to look: jobs by sweep, the best first, with these columns.

    Args:
        params: what differs between runs.
        metrics: what they reached; the best of the first comes first. Without any, the newest does.
    """
    reached = [_column("metrics", name) for name in metrics]
    columns = [*(_column("params", name) for name in params), *reached]
    state = {
        "searchFilter": f"tags.`{KIND}` = 'job'",
        "orderByKey": reached[0] if reached else "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": dict.fromkeys(reached, METRIC_PX),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": SWEEP}]},
    }
    return json.dumps(state)


def view_page(experiment_id: str) -> str:
    """Return what stands behind the address of a server: the table as `view_state` has it."""
    # Without the type MLflow opens its view of language models, which shows none of our runs.
    asked = f"workflowType=machine_learning&compareRunsMode=TABLE&viewStateShareKey={VIEW_KEY}"
    return f"#/experiments/{experiment_id}/runs?{asked}"


def server_command(host: str, port: int) -> list[str]:
    """Return the command that serves a database's UI; which one, `server_environment` says."""
    program = str(Path(sys.executable).with_name("mlflow"))
    # One worker: a tenth of the memory.
    return [program, "ui", "-w", "1", "--host", host, "--port", str(port)]


def server_environment(uri: str) -> dict[str, str]:
    """Return the environment of that command.

    Args:
        uri: of the store. It may hold a password, which the list of processes would show to everybody.
    """
    return {
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Nothing that runs code for whoever asks.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"
