"""The words behind a command about trained detectors: runs, settings of the command, and overrides of a config."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runners.contract.errors import UserError
from runners.contract.evaluations import TTAS, Tta
from runners.contract.metrics import Split
from sweeper.project.places import asked_output_dir
from sweeper.project.project import find_project, local_settings
from sweeper.runs.addresses import RunPlace
from sweeper.runs.evaluation import Workplace
from sweeper.verbs.words import did_you_mean

# What every one of these commands takes, and what it is without being said.
PLACE_SETTINGS = {"output_dir": "", "tracking.uri": "", "tracking.experiment": ""}
MACHINE_SETTINGS = {"gpus": "", "busy_gpus": "", "n_workers": "", "trust_plugins": ""}
SPLITS: tuple[Split, ...] = ("val", "test", "train")
BUSY = ("wait", "use")


@dataclass(frozen=True)
class RunWords:
    """What a command line says.

    Attributes:
        line: the whole of it, for messages.
        names: of runs, checkpoints, images.
        settings: of the command, those that were not said with their default.
        overrides: everything else, for the config.
    """

    line: str
    names: Sequence[str]
    settings: Mapping[str, str]
    overrides: Sequence[str]

    @property
    def place(self) -> RunPlace:
        """Where runs are looked for."""
        told = [f"output_dir={self.settings['output_dir']}"] if self.settings["output_dir"] else []
        return RunPlace(
            asked_output_dir(told), self.settings["tracking.uri"] or None, self.settings["tracking.experiment"]
        )

    @property
    def tta(self) -> Tta | None:
        """Which views of each image are looked at."""
        said = self.settings["tta"]
        if said in ("", "none", "null"):
            return None
        if said not in TTAS:
            raise UserError(f"unknown value in tta={said}{did_you_mean(said, TTAS)}; choices: {', '.join(TTAS)}")
        return said

    def split(self, default: Split | None) -> Split | None:
        """Return the split that is asked for."""
        said = self.settings["split"]
        if not said:
            return default
        if said not in SPLITS:
            raise UserError(f"unknown value in split={said}{did_you_mean(said, SPLITS)}; choices: {', '.join(SPLITS)}")
        return said

    def truth(self, key: str) -> bool:
        """Return a setting that is true or false."""
        said = self.settings[key].lower()
        if said not in ("true", "false"):
            raise UserError(f"unknown value in {key}={self.settings[key]}; choices: true, false")
        return said == "true"

    def number(self, key: str, low: float, high: float) -> float:
        """Return a setting that is a number in a range, both ends included."""
        said = self.settings[key]
        try:
            value = float(said)
        except ValueError:
            raise UserError(f"no number in {key}={said}; give one from {low:g} to {high:g}") from None
        if not low <= value <= high:
            raise UserError(f"value out of range in {key}={said}; give one from {low:g} to {high:g}")
        return value


def read_run_words(verb: str, words: Sequence[str], settings: Mapping[str, str], *, has_overrides: bool) -> RunWords:
    """Read the words behind a verb.

    Args:
        verb: for messages.
        words: what was typed behind it.
        settings: key to default of what the command takes beside `PLACE_SETTINGS`.
        has_overrides: whether other keys are overrides of a config, or mistakes.

    Raises:
        UserError: a flag or a setting that there is not.
    """
    line = " ".join(["detsweep", verb, *words])
    values = {**PLACE_SETTINGS, **settings}
    names: list[str] = []
    overrides: list[str] = []
    for word in words:
        key, separator, value = word.partition("=")
        if word.startswith("-"):
            raise UserError(f"no flag '{word}' in {line}: it has none; detsweep {verb} --help tells what there is")
        if (separator and Path(word).exists()) or (not separator and not word.startswith("~")):
            names.append(word)
        elif key in values:
            values[key] = value
        elif has_overrides:
            overrides.append(word)
        else:
            raise UserError(
                f"no setting '{key}' in {line}{did_you_mean(key, values)}; settings are {', '.join(values)}"
            )
    return RunWords(line, names, values, overrides)


@contextmanager
def workplace(words: RunWords, console: Console, doing: str) -> Iterator[Workplace]:
    """Return where evaluations are carried out; a line on a terminal says how far one is.

    Args:
        words: the command line.
        console: where to print.
        doing: what is done, for that line.

    Raises:
        UserError: a setting of the machine has another value than it may have.
    """
    usual = local_settings(find_project())
    busy = words.settings["busy_gpus"] or str(usual.get("busy_gpus", BUSY[0]))
    if busy not in BUSY:
        raise UserError(f"unknown value in busy_gpus={busy}; choices: {', '.join(BUSY)}")
    said = words.settings["n_workers"] or usual.get("n_workers")
    if said is not None and not str(said).isdigit():
        raise UserError(f"no whole number in n_workers={said}; give 0 or more, or leave it out")
    with console.status(Text(f"{doing}: importing PyTorch and MMDetection")) as status:

        def advance(number: int, n_images: int) -> None:
            status.update(Text(f"{doing}: image {number} of {n_images}"))

        yield Workplace(
            words.place.output_dir,
            words.settings["gpus"] or str(usual.get("gpus", "all")),
            busy,
            None if said is None else int(said),
            lambda line: console.print(Text(line), soft_wrap=True),
            advance,
        )
