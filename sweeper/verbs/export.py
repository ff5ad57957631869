"""``detsweep export``: writes a trained detector down for plain MMDetection."""

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from runners.contract.errors import UserError
from sweeper.runs.addresses import find_run
from sweeper.runs.export import README, export
from sweeper.runs.subject import subject_of
from sweeper.verbs.report import open_console
from sweeper.verbs.run_words import read_run_words


def run_export(words: Sequence[str]) -> int:
    """Carry ``detsweep export RUN FOLDER`` out.

    Raises:
        UserError: no such run, it has not finished, or the folder is taken.
    """
    told = read_run_words("export", words, {"trust_plugins": ""}, has_overrides=False)
    if len(told.names) != 2:
        raise UserError(f"words in {told.line}: {len(told.names)} given; name a run and a new folder")
    run, folder = told.names
    subject = subject_of(find_run(run, told.place), told.settings["trust_plugins"])
    done = export(subject, Path(folder).absolute())
    console = open_console()
    console.print(Text(f"wrote {done.folder}; how to use it: {done.folder / README}"), soft_wrap=True)
    return 0
