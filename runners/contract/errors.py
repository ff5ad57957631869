"""Mistakes of the user: told in one line each, never with a traceback."""

from collections.abc import Sequence

N_PROBLEMS_SHOWN = 20


class UserError(Exception):
    """Something the user can mend.

    Args:
        problems: one line each, in the form ``<what> in <where>: <found>; <fix or choices>``. All problems of one
            config or data set are gathered and raised together.
    """

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        if not problems:
            raise ValueError("UserError wants at least one problem")
        super().__init__("\n".join(problems))
        self.problems: Sequence[str] = problems

    def lines(self) -> list[str]:
        """Return what the terminal shows: the first 20 problems, then a count."""
        shown = [f"error: {problem}" for problem in self.problems[:N_PROBLEMS_SHOWN]]
        n_hidden = len(self.problems) - len(shown)
        return [*shown, f"error: ... and {n_hidden} more problems"] if n_hidden else shown
