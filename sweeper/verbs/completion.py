"""``detsweep completion``: the scripts that shells load, and the question that they ask each time.

A script hands the line over as bash does (``COMP_LINE``, ``COMP_POINT``) to ``detsweep completion query``, which prints
one candidate a line; one that ends the word ends in a blank. Groups and options are Hydra's own answer: the verb is
taken out of the line, and of an axis only the value that is being typed is left in.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from runners.contract.errors import UserError
from sweeper.project.places import asked_output_dir
from sweeper.verbs.verb import PLACES
from sweeper.verbs.verbs import VERBS
from sweeper.verbs.words import did_you_mean

BASH = """\
_detsweep() {
    local IFS=$'\\n' word="${COMP_LINE:0:COMP_POINT}"
    word="${word##* }"
    # bash splits words at = and :, and wants only what comes behind the last of them.
    local before="${word%"${word##*[=:]}"}"
    COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" "${COMP_WORDS[0]}" completion query 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o nospace -F _detsweep detsweep
"""
ZSH = """\
#compdef detsweep
_detsweep() {
    local line="${(j: :)words[1,CURRENT]}"
    local -a found=("${(@f)$(COMP_LINE="$line" COMP_POINT="${#line}" "$words[1]" completion query 2>/dev/null)}")
    compadd -Q -S '' -- ${found:#}
}
compdef _detsweep detsweep
"""
FISH = """\
function __detsweep
    set -l line (commandline --cut-at-cursor --current-process | string collect)
    COMP_LINE="$line" COMP_POINT=(string length -- "$line") detsweep completion query 2>/dev/null | string trim --right
end
complete --command detsweep --no-files --arguments '(__detsweep)'
"""
SCRIPTS: Mapping[str, str] = {"bash": BASH, "zsh": ZSH, "fish": FISH}

# What Hydra would complete as a word is a place on the disk.
PATH_KEYS = ("dataset.root", "output_dir", "weights.path", "ann_file", "image_dir")
# Settings of a search whose names Hydra does not know, as they stand in no group.
METHOD_KEYS = ("search.sampler", "search.sampler.name", "search.pruner", "search.pruner.name", "search.prune_by")
# Takes the words behind detsweep and answers as Hydra does, blanks between the candidates.
AskHydra = Callable[[Sequence[str]], str]


def run_completion(words: Sequence[str]) -> int:
    """Print the script of a shell, or, asked by that script, the candidates for the line in the environment.

    Raises:
        UserError: no such shell.
    """
    if list(words) == ["query"]:
        line = os.environ.get("COMP_LINE", "")
        # bash counts bytes where its locale does not know the letters; then the whole line is the better guess.
        point = os.environ.get("COMP_POINT", "")
        typed = line[: int(point)] if point.isdigit() else line
        print("\n".join(candidates(typed, _ask_hydra)))
        return 0
    if len(words) != 1 or words[0] not in SCRIPTS:
        near = did_you_mean(words[0], SCRIPTS) if words else ""
        raise UserError(f"shell in detsweep completion {' '.join(words)}: one of {', '.join(SCRIPTS)} is wanted{near}")
    print(SCRIPTS[words[0]], end="")
    return 0


def candidates(typed: str, ask_hydra: AskHydra) -> list[str]:
    """Return what the last word of a line may become; with a blank behind it where it is complete then.

    Args:
        typed: the line up to the cursor.
        ask_hydra: completes overrides.
    """
    words = typed.split()
    word = "" if typed[-1:].isspace() or not words else words.pop()
    if len(words) < 2:
        return _complete(word, [*VERBS, "--help"]) if words else []
    name, before = words[1], words[2:]
    verb = VERBS.get(name)
    if verb is None:
        return []
    if word.startswith("-") and not (name == "gpus" and word[1:].isdigit()):
        return _complete(word, [*verb.flags, "--help", *(("--cfg", "--info") if verb.is_hydras else ())])
    key, separator, value = word.partition("=")
    is_place = key.rpartition(".")[2] in {known.rpartition(".")[2] for known in PATH_KEYS}
    if separator and (is_place or verb.settings.get(key) in PLACES):
        return [f"{key}={path}" for path in _paths(value)]
    names = [word for word in before if "=" not in word and not word.startswith("-")]
    if verb.is_hydras and separator and key.lstrip("+") in METHOD_KEYS:
        return [f"{key}={name} " for name in _methods(key.lstrip("+")) if name.startswith(value)]
    if verb.is_hydras:
        parts = [] if before else _complete(word, verb.parts)
        return parts + _overrides(word, before, ask_hydra)
    found = _complete(word, _names(name, names, asked_output_dir(before)))
    if name == "add" and word:
        return found + _overrides(word, [other for other in before if other not in names], ask_hydra)
    places = _paths(word) if verb.takes_places else []
    return found + places + ([f"{key}=" for key in verb.settings if key.startswith(word)] if word else [])


def _names(verb: str, before: Sequence[str], output_dir: Path) -> list[str]:
    """Return what may stand at this place: a sweep, then where it makes sense one of its jobs."""
    if verb == "completion":
        return list(SCRIPTS)
    sweeps = sorted((path.parent.name for path in output_dir.glob("*/sweep.yaml")), reverse=True)
    if not before:
        more = ["submission"] if verb == "report" else []
        return [*sweeps, *more] if VERBS[verb].takes_sweep or verb == "clean" else []
    takes_jobs = any(word == "JOB" for word, _ in VERBS[verb].words)
    if takes_jobs and (len(before) == 1 or verb == "retry") and (output_dir / before[0] / "jobs").is_dir():
        return sorted(path.name for path in (output_dir / before[0] / "jobs").iterdir())
    return []


def _methods(key: str) -> list[str]:
    """Return what a setting of a search may be: names of samplers, of pruners, or of metrics of an epoch."""
    if key == "search.prune_by":
        from runners.contract.objectives import BY_EPOCH

        return list(BY_EPOCH)
    from sweeper.study.methods import PRUNER_OPTIONS, SAMPLER_OPTIONS

    return list(SAMPLER_OPTIONS if key.startswith("search.sampler") else PRUNER_OPTIONS)


def _complete(word: str, known: Iterable[str]) -> list[str]:
    return [f"{entry} " for entry in known if entry.startswith(word)]


def _overrides(word: str, before: Sequence[str], ask_hydra: AskHydra) -> list[str]:
    key, _, value = word.partition("=")
    # Of the values of an axis only the last is being typed; in the words before the first stands for all.
    done, comma, newest = value.rpartition(",")
    asked = f"{key}={newest}" if comma else word
    others = [other.partition(",")[0] for other in before if "=" in other and other[:1] not in "-'\""]
    found = ask_hydra([*others, asked]).split()
    if comma:
        found = [f"{key}={done},{entry.partition('=')[2]}" for entry in found if entry.startswith(f"{key}=")]
    return [entry for entry in found if entry.startswith(word)]


def _paths(value: str) -> list[str]:
    """Return the files and folders that a path may become."""
    folder, _, start = value.rpartition("/")
    shown = f"{folder}/" if "/" in value else ""
    try:
        entries = sorted(Path(shown or ".").expanduser().iterdir())
    except OSError:
        return []
    hidden = start.startswith(".")
    return [
        f"{shown}{entry.name}{'/' if entry.is_dir() else ' '}"
        for entry in entries
        if entry.name.startswith(start) and (hidden or not entry.name.startswith("."))
    ]


def _ask_hydra(words: Sequence[str]) -> str:
    from sweeper.verbs.hydra_call import call_hydra

    os.environ["COMP_LINE"] = " ".join(["detsweep", *words])
    answer = io.StringIO()
    with contextlib.redirect_stdout(answer), contextlib.suppress(UserError, SystemExit):
        call_hydra("train", ["-sc", "query=bash"])
    return answer.getvalue()
