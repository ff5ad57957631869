"""The command line: ``detsweep VERB ...``. The verb is taken off, the rest is its own, and a mistake is one line."""

import importlib
import sys
from collections.abc import Sequence

from runners.contract.errors import UserError
from sweeper.verbs.verbs import VERBS, usage, verb_help
from sweeper.verbs.words import did_you_mean

HELP_FLAGS = ("--help", "-h")
DETACH = "--detach"
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the words behind ``detsweep``; those of the process by default.

    Returns:
        0 all done · 1 finished with failed jobs · 2 refused, nothing started · 3 resumable · 4 owned by another ·
        128 + signal.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in (*HELP_FLAGS, "help"):
        print(usage(), end="")
        return 0
    return _answer(words[0], words[1:])


def _answer(verb: str, words: list[str]) -> int:
    """Carry a verb out; what is the user's mistake becomes lines, what left early an exit code."""
    try:
        return _carry_out(verb, words)
    except UserError as error:
        print("\n".join(error.lines()), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1 if leave.code else 0


def _carry_out(name: str, words: list[str]) -> int:
    verb = VERBS.get(name)
    if verb is None:
        typed = " ".join(["detsweep", name, *words])
        raise UserError(f"no command '{name}' in {typed}{did_you_mean(name, VERBS)}; commands are {', '.join(VERBS)}")
    if any(flag in words for flag in HELP_FLAGS):
        print(verb_help(name))
        if not verb.is_hydras:
            return 0
    if DETACH in words:
        return _detach(name, [word for word in words if word != DETACH])
    if verb.is_hydras:
        from sweeper.verbs.hydra_call import call_hydra

        is_json = "--json" in words and "--json" in verb.flags
        # Hydra knows no flags but its own.
        ours = [word for word in words if word != "--json"] if is_json else words
        told = f"{name}_json" if is_json else name
        if ours and ours[0] in verb.parts:
            return call_hydra(f"{told}_{ours[0]}", ours[1:])
        return call_hydra(told, ours)
    module, function = verb.runs
    exit_code: int = getattr(importlib.import_module(module), function)(words)
    return exit_code


def _detach(name: str, words: list[str]) -> int:
    if DETACH not in VERBS[name].flags:
        able = ", ".join(verb for verb in VERBS if DETACH in VERBS[verb].flags)
        raise UserError(f"no flag '{DETACH}' in detsweep {name}; it is there for {able}")
    from sweeper.verbs.detach import run_detached

    return run_detached(lambda: _answer(name, words))
