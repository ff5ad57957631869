"""Which columns of a tracking store's table show a comparison: what differs between its runs, and what they reached."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reports.mlflow_runs import open_client, search_runs, shown, unreachable
from reports.read import Experiment
from runners.contract import metrics as names
from runners.contract.errors import UserError
from runners.contract.metrics import best, metric
from runners.contract.naming import GROUPS

# A table wider than this is scrolled sideways, and then compares nothing.
N_PARAMS = 8
# Settings behind the groups, in this order; what is not listed comes last.
SETTINGS = ("lr", "batch_size", "n_epochs", "precision", "fold", "seed")
# Follow from others, or say what the sweep was asked for.
LEFT_OUT = ("detector_config", "lr_effective", "best_by")
AXIS = "axis/"
AP, AP_50 = "bbox_mAP", "bbox_mAP_50"
METRICS = (
    best(metric("val", AP_50)),
    best(metric("val", AP)),
    metric("test", AP_50),
    best(names.TRAIN_LOSS),
    names.WALL_S,
)


@dataclass(frozen=True)
class StoreColumns:
    """What the table of an experiment shows.

    Attributes:
        experiment_id: the store's own.
        params: names of parameters that differ between its runs.
        metrics: names of metrics that runs have, the one that runs are ordered by first.
        n_runs: jobs that were looked at.
    """

    experiment_id: str
    params: Sequence[str]
    metrics: Sequence[str]
    n_runs: int


def choose_columns(experiment: Experiment) -> StoreColumns:
    """Return the columns for an experiment.

    Raises:
        UserError: the store cannot be reached, or lacks the experiment.
    """
    client = open_client(experiment.tracking_uri)
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(experiment.name)
        if found is None:
            known = ", ".join(entry.name for entry in client.search_experiments()) or "none"
            where = f"experiment {experiment.name!r} in {shown(experiment.tracking_uri)}"
            raise UserError(f"{where}: there is none of this name; tracking.experiment= names one of {known}")
        query = "tags.`detsweep.kind` = 'job'"
        runs = [run.data for run in search_runs(client, [found.experiment_id], query)]
    except MlflowException as error:
        raise unreachable(experiment.tracking_uri, error) from error
    reached = set().union(*(run.metrics for run in runs))
    chosen = [name for name in METRICS if name in reached]
    return StoreColumns(str(found.experiment_id), varying(run.params for run in runs), chosen, len(runs))


def varying(runs: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the parameters that differ between runs, groups first; one that only some have differs as well."""
    values: dict[str, set[str]] = {}
    n_with: dict[str, int] = {}
    n_runs = 0
    for params in runs:
        n_runs += 1
        for name, value in params.items():
            values.setdefault(name, set()).add(value)
            n_with[name] = n_with.get(name, 0) + 1
    differ = [
        name
        for name, found in values.items()
        if (len(found) > 1 or n_with[name] < n_runs) and name not in LEFT_OUT and not name.startswith(AXIS)
    ]
    known = [*GROUPS, *SETTINGS]
    order = {name: place for place, name in enumerate(known)}
    return sorted(differ, key=lambda name: (order.get(name, len(known)), name))[:N_PARAMS]
