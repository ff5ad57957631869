"""What a command of the command line is, and the words that several of them take."""

from collections.abc import Sequence
from dataclasses import dataclass

JSON = ("--json", "one JSON object on stdout, and nothing else")
SWEEP = ("SWEEP", "id, name or folder of a sweep; the newest without it")
OUTPUT_DIR = ("output_dir=FOLDER", "where sweeps are looked for (outputs, in a project's root)")
RUN = ("RUN", "3 (a job of the newest sweep), SWEEP/3, a title, best, an MLflow run id, or a job's folder")
JOB = ("JOB", "number of a job, 7 or 0007")
STORE = ("tracking.uri=URI", "the tracking store, if it is not the sweep's own")
# Words that stand for something on the disk.
PLACES = ("FILE", "FOLDER", "IMAGES", "SWEEP_FOLDER", "TABLE.csv")
DETACH = ("--detach", "run in the background, in a session of its own: the terminal may be closed")


@dataclass(frozen=True)
class Verb:
    """One command.

    Attributes:
        usage: what stands behind its name.
        summary: what it does, in one line.
        words: (word, meaning) of everything it takes.
        examples: command lines, without ``detsweep``.
        runs: module and function that carry it out; empty for those that are Hydra's.
        more: what else is worth knowing, lines.
        parts: of a verb that is Hydra's, words that may stand first and have it do a part of what it does.
    """

    usage: str
    summary: str
    words: Sequence[tuple[str, str]]
    examples: Sequence[str]
    runs: tuple[str, str] = ("", "")
    more: Sequence[str] = ()
    parts: Sequence[str] = ()

    @property
    def is_hydras(self) -> bool:
        """Whether Hydra reads what stands behind it."""
        return not self.runs[0]

    @property
    def flags(self) -> list[str]:
        """The flags it takes."""
        return [word for word, _ in self.words if word.startswith("--")]

    @property
    def settings(self) -> dict[str, str]:
        """The settings it takes, ``KEY=``, with the word that stands for their value."""
        pairs = (word.partition("=") for word, _ in self.words if "=" in word and " " not in word)
        return {key: value for key, _, value in pairs if not key.isupper()}

    @property
    def takes_places(self) -> bool:
        """Whether names behind it are files or folders."""
        return any(word in PLACES for word, _ in self.words)

    @property
    def takes_sweep(self) -> bool:
        """Whether it is about a sweep that has been started."""
        return SWEEP in self.words
