"""``detsweep report``: finds what is asked about, has `reports` write it, and prints it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.folder import JobFolder, SweepFolder
from sweeper.project.places import asked_output_dir, find_places
from sweeper.runs.addresses import RunPlace, find_run
from sweeper.stored.finding import find_sweep
from sweeper.view.screen import Screen

# key -> what it is when it is not given
KEYS = {"output_dir": "", "tracking.experiment": "", "tracking.uri": ""}
FILE_WIDTH = 140


def run_report(words: Sequence[str]) -> int:
    """Carry ``detsweep report [submission RUN | SWEEP | hypothesis=NAME] [KEY=VALUE ...]`` out.

    Raises:
        UserError: what is asked about is not there, or a word is unknown.
    """
    if any(word.startswith("hypothesis=") for word in words):
        from sweeper.planning.hypothesis_axes import asked_hypotheses
        from sweeper.verbs.hydra_call import call_hydra

        refuse_names(words)
        (first, *others), rest = asked_hypotheses(words)
        beside = [f"hydra.sweeper.family=[{','.join(others)}]"] if others else []
        # Of several, Hydra composes one: what may stand beside it depends on what it chooses.
        return call_hydra("report", [f"hypothesis={first}", *beside, *rest])
    names, values = _read_words(words)
    output_dir = asked_output_dir(words)
    console = open_console()
    if names and names[0] == "submission":
        if len(names) != 2:
            raise UserError(f"run in detsweep report {' '.join(words)}: {len(names) - 1} given; name one")
        place = RunPlace(output_dir, values["tracking.uri"] or None, values["tracking.experiment"])
        return _write_submission(find_run(names[1], place).job, console)
    if len(names) > 1:
        raise UserError(f"sweep in detsweep report {' '.join(words)}: {len(names)} given; name one")
    if values["tracking.experiment"] or values["tracking.uri"]:
        from reports.read import Experiment

        places = find_places()
        experiment = values["tracking.experiment"] or places.experiment
        uri = values["tracking.uri"] or places.uri or f"sqlite:///{output_dir / 'mlflow.db'}"
        _print(Experiment(experiment, uri), output_dir / "reports" / Path(experiment).name, console)
        return 0
    print_report(find_sweep(names[0] if names else None, output_dir), console)
    return 0


def refuse_names(words: Sequence[str]) -> None:
    """Refuse a sweep's name beside a hypothesis.

    Raises:
        UserError: a word is no override.
    """
    names = [word for word in words if "=" not in word]
    if names:
        raise UserError(
            f"sweep in detsweep report {' '.join(words)}: {names[0]} beside a hypothesis, which all sweeps are read "
            "for; leave it out"
        )


def open_console() -> Console:
    """Return the console of this command; a file or a pipe has no width, and tables need room for titles."""
    screen = cast(TextIO, Screen())
    console = Console(file=screen, highlight=False)
    return console if console.is_terminal else Console(file=screen, highlight=False, width=FILE_WIDTH)


def print_report(sweep: SweepFolder, console: Console) -> None:
    """Write a sweep's report into its folder and print its tables."""
    _print(sweep, sweep.report, console)


def try_report(sweep: SweepFolder, console: Console) -> None:
    """Do the same at a sweep's end; what goes wrong is told, and changes nothing of what the sweep has achieved."""
    try:
        print_report(sweep, console)
    except UserError as error:
        for line in error.lines():
            console.print(Text(line), soft_wrap=True)
    except OSError as error:
        told = f"note: report not written in {sweep.report}: {error.strerror}; detsweep report writes it again"
        console.print(Text(told), soft_wrap=True)


def _print(source: object, out: Path, console: Console) -> None:
    from reports.read import Experiment
    from reports.sweep_report import write_report
    from reports.terminal_report import terminal_report

    assert isinstance(source, SweepFolder | Experiment)
    for part in terminal_report(write_report(source, out, out.parents[1])):
        console.print(part, soft_wrap=isinstance(part, Text))


def _write_submission(job: JobFolder, console: Console) -> int:
    from reports.submission import write_submission

    written = write_submission(job, job.path / "submission")
    for path in (written.csv, written.results):
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    return 0


def _read_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    names, values = [], dict(KEYS)
    for word in words:
        key, separator, value = word.partition("=")
        if not separator:
            names.append(word)
        elif key in KEYS:
            values[key] = value
        else:
            raise UserError(f"no setting '{key}' in detsweep report {' '.join(words)}; settings are {', '.join(KEYS)}")
    return names, values
