"""``detsweep attach``: the live table of a sweep that another process runs; leaving it leaves the sweep alone."""

import shlex
import time
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from runners.contract.states import JobState
from sweeper.stored.finding import find_sweep
from sweeper.verbs.report import open_console
from sweeper.verbs.status import head_lines, print_way_on, sweep_state
from sweeper.verbs.words import read_words
from sweeper.view.progress import Progress, log_lines
from sweeper.view.sweep_reader import SweepReader, follow, is_live
from sweeper.view.sweep_table import SweepTable
from sweeper.view.sweep_view import SweepView

POLL_S = 0.5
EXIT_LEFT = 3
_EXIT_CODES = {"paused": EXIT_LEFT, "failed": 1, "finished": 0}


def run_attach(words: Sequence[str]) -> int:
    """Carry ``detsweep attach [SWEEP]`` out.

    Returns:
        The sweep's exit code once it has ended; 0 if Ctrl-C left it running; 3 if nobody runs it and jobs are left.

    Raises:
        UserError: no such sweep, or its journal is damaged.
    """
    asked = read_words("attach", words)
    sweep = find_sweep(asked.name, asked.output_dir)
    console = open_console()
    view, reader = SweepView(sweep), SweepReader(sweep)
    follow(reader, view)
    view.is_live = is_live(view)
    for line in head_lines(view, time.time()):
        console.print(Text(line), soft_wrap=True)
    if not view.is_live:
        return _tell_end(view, console)
    console.print(Text("Ctrl-C leaves this view; the sweep goes on", style="dim"))
    try:
        _watch(view, reader, console)
    except KeyboardInterrupt:
        name = shlex.quote(sweep.sweep_id)
        console.print(Text(f"left; the sweep goes on. Back to it: detsweep attach {name}"), soft_wrap=True)
        return 0
    # Whoever ran it may still ship to the tracking store; nothing runs any more.
    view.is_live = False
    return _tell_end(view, console, has_table=console.is_terminal)


def _watch(view: SweepView, reader: SweepReader, console: Console) -> None:
    """Show what happens until the sweep has ended or its controller is gone."""
    with Progress(console, view) as progress:
        while True:
            # Asked before the last reading: what a controller wrote before it went is not missed.
            was_live = is_live(view)
            has_ended = False
            for news in reader.news():
                if isinstance(news, tuple):
                    progress.record(*news)
                    continue
                progress.event(news)
                has_ended = news["event"] == "sweep_ended"
                if news["event"] == "ended":
                    job = view.jobs[news["job"]]
                    for line in log_lines(view.attempt_folder(job)) if job.state is JobState.FAILED else []:
                        progress.say(line)
            if has_ended or not was_live:
                return
            time.sleep(POLL_S)


def _tell_end(view: SweepView, console: Console, has_table: bool = False) -> int:
    if not has_table:
        console.print(SweepTable(view, time.time()))
    state = sweep_state(view)
    if view.exit_code is None and view.counts()[JobState.RUNNING]:
        console.print(Text("its controller is gone without a word: killed, or the machine went down"), soft_wrap=True)
    print_way_on(view, console)
    return view.exit_code if view.exit_code is not None else _EXIT_CODES[state]
