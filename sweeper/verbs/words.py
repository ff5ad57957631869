"""The words behind a verb that is not Hydra's: names, settings and flags; a wrong one is told in one line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from runners.contract.errors import UserError


@dataclass(frozen=True)
class Words:
    """What a command line says.

    Attributes:
        names: words that are neither flag nor setting.
        flags: those that were given.
        output_dir: where sweeps are looked for.
    """

    names: Sequence[str]
    flags: frozenset[str]
    output_dir: Path

    @property
    def name(self) -> str | None:
        """The one name, if there is one."""
        return self.names[0] if self.names else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` if one of the known words is near; the same as for overrides, without Hydra."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""


def read_words(verb: str, words: Sequence[str], flags: Sequence[str] = (), n_names: int = 1) -> Words:
    """Read the words behind a verb.

    Args:
        verb: for messages.
        words: what was typed behind it.
        flags: which there are, ``--json``.
        n_names: how many names there may be.

    Raises:
        UserError: a flag or a setting that there is not, or too many names.
    """
    from sweeper.project.places import asked_output_dir  # reads YAML, which the answer to --help does not wait for

    where = " ".join(["detsweep", verb, *words])
    names: list[str] = []
    given: set[str] = set()
    for word in words:
        key, separator, value = word.partition("=")
        if word in flags:
            given.add(word)
        elif word.startswith("-"):
            known = f"flags are {', '.join(flags)}" if flags else "it has none"
            raise UserError(f"no flag '{word}' in {where}: {known}{did_you_mean(word, flags)}")
        elif separator and key == "output_dir" and value:
            continue
        elif separator and not Path(word).exists():
            raise UserError(f"no setting '{key}' in {where}; the one setting is output_dir=FOLDER")
        else:
            names.append(word)
    if len(names) > n_names:
        wanted = "it takes no name" if n_names == 0 else "name one"
        raise UserError(f"too many names in {where}: {len(names)} given; {wanted}")
    return Words(names, frozenset(given), asked_output_dir(words))
