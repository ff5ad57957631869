"""Overrides of a command line, one at a time: parsed, or told where they break and which word was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from antlr4 import CommonTokenStream, InputStream  # type: ignore[import-untyped]
from antlr4.error.ErrorListener import ErrorListener  # type: ignore[import-untyped]
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import OverrideLexer
from hydra.grammar.gen.OverrideParser import OverrideParser

from runners.contract.errors import UserError

_QUOTING = "close every bracket and quote; put other letters and the signs , = : ( ) [ ] { } in quotes: \"key='value'\""


# Jobs of a sweep have most of their overrides in common, and each is read more than once.
@lru_cache(maxsize=4096)
def parse_override(line: str) -> Override:
    """Parse one override; the result is shared by all who ask, and not to be changed.

    Raises:
        UserError: it does not follow Hydra's grammar; a caret stands before the character that broke it.
    """
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException as error:
        column = _broken_at(line)
        if column is None:
            # The grammar was followed, a function was not: choice(), range() ...
            raise UserError(f"broken override in '{line}': {' '.join(str(error).split())}; {_QUOTING}") from error
        marked = f"{line[:column]}^{line[column:]}"
        raise UserError(
            f"broken override in '{line}': stops at the ^ in {marked} (column {column + 1}); {_QUOTING}"
        ) from error


def parse_overrides(lines: Iterable[str]) -> tuple[list[Override], list[str]]:
    """Return the overrides that can be parsed, and what is wrong with the others."""
    parsed: list[Override] = []
    problems: list[str] = []
    for line in lines:
        try:
            parsed.append(parse_override(line))
        except UserError as error:
            problems += error.problems
    return parsed, problems


def expand_override(override: Override) -> list[Override]:
    """Return one override for each value of an axis, none for an interval, and anything else as it is."""
    if not override.is_sweep_override():
        return [override]
    if not override.is_discrete_sweep():
        return []
    key = override.get_key_element()
    return [parse_override(f"{key}={value}") for value in override.sweep_string_iterator()]


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return ``; did you mean 'resnet50'``, or nothing where no choice is near."""
    listed = list(choices)
    near = get_close_matches(word, listed, n=1) or get_close_matches(word.lower(), listed, n=1)
    # One level too high or too low is as common as a wrong letter: lr for optimizer.lr.
    near = near or sorted(
        (choice for choice in listed if choice.rpartition(".")[2] == word.rpartition(".")[2]), key=len
    )
    return f"; did you mean '{near[0]}'?" if near else ""


def _broken_at(line: str) -> int | None:
    listener = _FirstError()
    lexer = OverrideLexer(InputStream(line))
    lexer.removeErrorListeners()
    lexer.addErrorListener(listener)
    parser = OverrideParser(CommonTokenStream(lexer))
    parser.removeErrorListeners()
    parser.addErrorListener(listener)
    parser.override()  # type: ignore[no-untyped-call]  # generated code
    return listener.column


class _FirstError(ErrorListener):  # type: ignore[misc]  # antlr4 has no types
    """Remembers where the text first broke; Hydra's own listener forgets it."""

    def __init__(self) -> None:
        self.column: int | None = None

    def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, msg: str, error: Any) -> None:  # noqa: N802
        """Take one error."""
        self.column = column if self.column is None else min(self.column, column)
