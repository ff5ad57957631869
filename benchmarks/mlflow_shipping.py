"""How fast points reach MLflow through the outbox and one by one, and how far a store in any state slows training.

``python -m benchmarks.mlflow_shipping [--n-runs 5] [--out FILE]``; all ways take turns in one run, medians are shown.
The stores are a SQLite file and a real ``mlflow server`` on loopback. Wall times mean something on a machine that does
nothing else; processor times are shown beside them: what the loop itself needed, and what the controller needed for it.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.table import Table

from runners.contract.folder import AttemptFolder, SweepFolder
from runners.contract.records import MetricRecord
from runners.contract.states import JobState
from sweeper.stored.versions import stack_versions
from sweeper.tracking.outbox import TrackedJob
from sweeper.tracking.shipper import TrackingSettings
from sweeper.tracking.tracking import Tracker
from sweeper.verbs.report import open_console
from tests.sweeper.tracking_server import running_server

RESULTS = Path(__file__).parent / "results"
N_METRICS = 8  # of one record
TICK_S = 0.5  # of the controller's loop
# What a training loop computes between two records, in a process of its own as a job is: some milliseconds on one core.
LOAD = """
import json, sys, time
import numpy as np
from pathlib import Path
from runners.contract.folder import AttemptFolder
from runners.contract.records import MetricRecord
attempt, n_iterations = AttemptFolder(Path(sys.argv[1])), int(sys.argv[2])
matrix = np.random.default_rng(0).random((400, 400), dtype=np.float32)
for iteration in range(-20, n_iterations):
    if iteration == 0:
        began, began_cpu = time.perf_counter(), time.process_time()
    for _ in range(4):
        np.linalg.norm(matrix @ matrix)
    values = {f"iter/loss_{number}": 0.5 for number in range(8)}
    if iteration >= 0:
        MetricRecord(time.time(), attempt.number, iteration + 1, values).append(attempt)
print(json.dumps([time.perf_counter() - began, time.process_time() - began_cpu]))
"""
# One thread, as a job on a share of a machine has.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Of one turn of the loop, in seconds.
WALL, LOOP_CPU, CONTROLLER_CPU = "wall", "loop cpu", "controller cpu"
Times = Mapping[str, Mapping[str, list[float]]]


def main() -> None:
    """Measure both, print two tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-runs", type=int, default=5, help="times that each way has its turn")
    parser.add_argument("--n-points", type=int, default=8000, help="points sent through the outbox")
    parser.add_argument("--n-single", type=int, default=200, help="points sent one by one")
    parser.add_argument("--n-iterations", type=int, default=2000, help="of the training-like loop")
    parser.add_argument("--out", type=Path, default=RESULTS / "mlflow_shipping.json", help="where the numbers go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "server").mkdir()
        server = stack.enter_context(running_server(folder / "server"))
        stores = {"SQLite": f"sqlite:///{folder / 'mlflow.db'}", "server": server}
        rates = _measure_rates(stores, folder, asked.n_runs, asked.n_points, asked.n_single)
        closed, silent = stack.enter_context(_closed_port()), stack.enter_context(_silent_port())
        states = {"none": None, **stores, "closed port": closed, "never answers": silent}
        times = _measure_slowdown(states, folder, asked.n_runs, asked.n_iterations)
    _print(rates, times)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(_result(rates, times, vars(asked)), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {asked.out}")


def _measure_rates(
    stores: Mapping[str, str], folder: Path, n_runs: int, n_points: int, n_single: int
) -> dict[str, dict[str, list[float]]]:
    """Return points per second of each store, through the outbox and by one `log_metric` each."""
    rates: dict[str, dict[str, list[float]]] = {store: {"outbox": [], "one by one": []} for store in stores}
    for number in range(n_runs):
        for store, uri in stores.items():
            sweep = _make_sweep(folder, f"rate-{store}-{number}")
            rates[store]["outbox"].append(_ship(uri, sweep, n_points))
            rates[store]["one by one"].append(_log_singly(uri, n_single))
    return rates


def _ship(uri: str, sweep: SweepFolder, n_points: int) -> float:
    """Return points per second from a file of records to the last of them in the store."""
    tracker, attempt = _start(uri, sweep)
    while not tracker.run_ids:  # opening the store is not what is measured
        time.sleep(0.01)
    time.sleep(0.5)
    for step in range(1, n_points // N_METRICS + 1):
        values = {f"iter/loss_{number}": 0.5 for number in range(N_METRICS)}
        MetricRecord(time.time(), attempt.number, step, values).append(attempt)
    began = time.perf_counter()
    tracker.ship(attempt)
    n_waiting = tracker.close(600.0)
    if n_waiting:
        raise RuntimeError(f"{n_waiting} records did not arrive in {uri}")
    return n_points / (time.perf_counter() - began)


def _log_singly(uri: str, n_points: int) -> float:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    run = client.create_run(client.get_experiment_by_name("benchmark").experiment_id)
    began = time.perf_counter()
    for step in range(n_points):
        client.log_metric(run.info.run_id, "iter/loss", 0.5, step=step)
    return n_points / (time.perf_counter() - began)


def _measure_slowdown(states: Mapping[str, str | None], folder: Path, n_runs: int, n_iterations: int) -> Times:
    """Return seconds of the training-like loop under each state of the store, in turns."""
    times: Times = {state: {WALL: [], LOOP_CPU: [], CONTROLLER_CPU: []} for state in states}
    for number in range(n_runs):
        # The order turns, so that none of them always runs after the same one.
        turn = list(states.items())
        for state, uri in [*turn[number % len(turn) :], *turn[: number % len(turn)]]:
            sweep = _make_sweep(folder, f"slow-{state.replace(' ', '-')}-{number}")
            for kind, seconds in _train(uri, sweep, n_iterations).items():
                times[state][kind].append(seconds)
    return times


def _train(uri: str | None, sweep: SweepFolder, n_iterations: int) -> dict[str, float]:
    """Return the seconds that the loop took, by its own clock, while this process did what a controller does."""
    tracker, attempt = _start(uri, sweep)
    began_cpu_s = time.process_time()
    command = [sys.executable, "-c", LOAD, str(attempt.path), str(n_iterations)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}) as job:
        while job.poll() is None:
            tracker.ship(attempt)
            time.sleep(TICK_S)
        assert job.stdout is not None
        wall_s, cpu_s = json.loads(job.stdout.read())
    controller_cpu_s = time.process_time() - began_cpu_s
    tracker.end_job(attempt, JobState.COMPLETED, None)
    tracker.close(2.0)
    return {WALL: wall_s, LOOP_CPU: cpu_s, CONTROLLER_CPU: controller_cpu_s}


def _make_sweep(folder: Path, name: str) -> SweepFolder:
    sweep = SweepFolder(folder / name)
    (sweep.jobs / "0001").mkdir(parents=True)
    return sweep


def _start(uri: str | None, sweep: SweepFolder) -> tuple[Tracker, AttemptFolder]:
    tracker = Tracker(TrackingSettings(uri, "benchmark", None), sweep, lambda line: None)
    tracker.open_sweep(sweep.sweep_id, {})
    tracker.start_job(TrackedJob(sweep.job("0001"), "job", {}, {}, ("data", "0", "data")))
    return tracker, sweep.job("0001").take_attempt()


@contextmanager
def _closed_port() -> Iterator[str]:
    """Give an address on which nobody listens, and keep it so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def _silent_port() -> Iterator[str]:
    """Give an address where every connection is taken and no request answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _print(rates: Mapping[str, Mapping[str, list[float]]], times: Times) -> None:
    console = open_console()
    table = Table(title="points per second into MLflow", title_justify="left")
    for heading in ("store", "outbox", "log_metric one by one", "ratio"):
        table.add_column(heading, justify="left" if heading == "store" else "right")
    for store, ways in rates.items():
        outbox, single = statistics.median(ways["outbox"]), statistics.median(ways["one by one"])
        table.add_row(store, f"{outbox:,.0f}", f"{single:,.0f}", f"{outbox / single:.0f}")
    console.print(table)
    table = Table(title="a training-like loop, its records shipped to", title_justify="left")
    for heading in ("store", "wall s", "range", "slower by", "loop cpu s", "slower by", "controller cpu s"):
        table.add_column(heading, justify="left" if heading == "store" else "right")
    for state, kinds in times.items():
        table.add_row(
            state,
            f"{statistics.median(kinds[WALL]):.2f}",
            f"{min(kinds[WALL]):.2f}-{max(kinds[WALL]):.2f}",
            f"{_slowdown(times, state, WALL):+.1%}",
            f"{statistics.median(kinds[LOOP_CPU]):.2f}",
            f"{_slowdown(times, state, LOOP_CPU):+.1%}",
            f"{statistics.median(kinds[CONTROLLER_CPU]):.2f}",
        )
    console.print(table)


def _slowdown(times: Times, state: str, kind: str) -> float:
    return statistics.median(times[state][kind]) / statistics.median(times["none"][kind]) - 1


def _result(rates: Mapping[str, Mapping[str, list[float]]], times: Times, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": platform.machine(), "n_cores": os.cpu_count(), "load_average": os.getloadavg()},
        "versions": stack_versions(),
        "settings": {key: value for key, value in asked.items() if key != "out"},
        "points_per_s": {
            store: {way: {"median": statistics.median(values), "all": values} for way, values in ways.items()}
            for store, ways in rates.items()
        },
        "loop_s": {
            state: {
                kind: {
                    "median": statistics.median(values),
                    "slower_by": _slowdown(times, state, kind),
                    "all": values,
                }
                for kind, values in kinds.items()
            }
            for state, kinds in times.items()
        },
    }


if __name__ == "__main__":
    main()
