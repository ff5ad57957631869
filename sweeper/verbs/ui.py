"""``detsweep ui``: MLflow's UI on the right store, opened where runs are compared."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from sweeper.serving.served_page import LOOPBACK, ServedPage, choose_port, serve
from sweeper.stored.redaction import without_password
from sweeper.tracking.mlflow_store import MlflowStore, RunRefusedError, StoreRefusesError, describe_error
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.store_page import (
    SHARED,
    VIEW_KEY,
    server_command,
    server_environment,
    view_page,
    view_state,
)
from sweeper.tracking.store_probe import StoreAwayError
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import read_run_words

USUAL_PORT = 5000


def run_ui(words: Sequence[str]) -> int:
    """Carry ``detsweep ui [KEY=VALUE ...]`` out.

    Returns:
        0 for a store that has a server already: its address is printed.

    Raises:
        UserError: there is no store, it lacks the experiment, or a word is wrong.
        PageFailedError: the UI could not be served.
    """
    told = read_run_words("ui", words, {"port": ""}, has_overrides=False)
    if told.names:
        raise UserError(f"names in {told.line}: {', '.join(told.names)}; it takes settings only")
    place = told.place
    store = place.tracking
    assert store.uri is not None  # only the settings of a sweep can say that there is none
    has_server = store.uri.startswith(("http://", "https://"))
    port = 0 if has_server else choose_port(told.settings["port"], USUAL_PORT)
    console = open_console()
    with console.status(Text("reading the tracking store")):
        page = _prepare(store, console)
    if has_server:
        console.print(Text(f"MLflow: {without_password(store.uri).rstrip('/')}/{page}"), soft_wrap=True)
        return 0
    address = f"http://{LOOPBACK}:{port}"

    def say() -> None:
        console.print(Text(f"open {address}/{page}"), soft_wrap=True)
        console.print(Text("in a browser of this machine; Ctrl-C ends it"), soft_wrap=True)

    console.print(Text("starting MLflow's UI, which takes some seconds", style="dim"))
    served = ServedPage(
        "MLflow's UI",
        server_command(LOOPBACK, port),
        place.output_dir,
        server_environment(store.uri),
        f"{address}/health",
    )
    return serve(served, say)


def _prepare(store: TrackingSettings, console: Console) -> str:
    """Choose the columns, leave them with the store, and return the page that shows them."""
    from reports.read import Experiment
    from reports.store_columns import choose_columns

    assert store.uri is not None
    columns = choose_columns(Experiment(store.experiment, store.uri))
    if not columns.n_runs:
        console.print(Text(f"experiment {store.experiment!r} holds no job yet; detsweep train makes some"))
    try:
        opened = MlflowStore(store.uri, store.experiment, store.artifacts)
        opened.set_experiment_tag(f"{SHARED}{VIEW_KEY}", view_state(columns.params, columns.metrics))
    except (StoreAwayError, StoreRefusesError, RunRefusedError) as error:
        raise UserError(f"tracking store: {describe_error(error, store.uri)}; the page needs a tag there") from None
    return view_page(columns.experiment_id)
