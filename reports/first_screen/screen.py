"""The first screen of a report, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.diagnosed_runs import DiagnosedRuns
from reports.first_screen.decision import decision_sentences
from reports.first_screen.open_points import open_points
from reports.first_screen.questions import question_table
from reports.first_screen.reasons import reason_lines
from reports.first_screen.telling_pictures import TellingPicture, telling_pictures
from reports.neutral import markdown_text
from reports.records import RunSet
from reports.search.section import SearchSection
from reports.section import Section
from reports.table import Table
from reports.verdicts import SweepVerdicts

# What fits on a page; the table below it holds all.
N_STEPS, N_DECISIONS = 3, 2
# As much is printed in letters of the usual size.
_FEW_ROWS, _FEW_LETTERS = 4, 1100


@dataclass(frozen=True)
class NextCommand:
    """A command line that is worth running next, and why."""

    what: str
    why: str
    command: str


@dataclass(frozen=True)
class FirstScreen:
    """What a lead decides from.

    Attributes:
        decisions: a sentence each, with effect, interval and cost.
        questions: a row for each; without rows where no hypothesis was put to the test.
        reasons: why, in a few lines.
        open: what is not true yet.
        commands: what to run next.
        pictures: of telling images.
    """

    decisions: Sequence[str]
    questions: Table
    reasons: Sequence[str]
    open: Sequence[str]
    commands: Sequence[NextCommand]
    pictures: Sequence[TellingPicture]

    @property
    def is_dense(self) -> bool:
        """Whether it is printed in smaller letters, so that it stays on one page."""
        n_letters = sum(map(len, (*self.decisions, *self.reasons, *self.open)))
        return len(self.decisions) > 1 or len(self.questions.rows) > _FEW_ROWS or n_letters > _FEW_LETTERS


def first_screen(
    runs: RunSet,
    verdicts: Sequence[SweepVerdicts],
    sections: Sequence[Section],
    diagnosed: DiagnosedRuns,
    searches: Sequence[SearchSection] = (),
    problems: Sequence[str] = (),
) -> FirstScreen:
    """Return what a lead decides from.

    Args:
        runs: what the report is about.
        verdicts: what hypotheses came to.
        sections: the data sets.
        diagnosed: what is wrong with the runs.
        searches: what they found.
        problems: what else could not be read, lines.
    """
    told = [search.sentence for search in searches]
    decisions = decision_sentences(verdicts, () if searches else sections) + told or ["Nothing has finished yet."]
    more = len(decisions) - N_DECISIONS
    shown = [*decisions[:N_DECISIONS], *([f"{more} more below."] if more > 0 else [])]
    commands = [
        NextCommand("the runs that would decide", _asked(found), found.next_command)
        for found in verdicts
        if found.next_command
    ]
    commands += [NextCommand(*command) for search in searches for command in search.commands]
    commands += [NextCommand(step.title, step.evidence, step.command) for section in sections for step in section.steps]
    return FirstScreen(
        decisions=shown,
        questions=question_table(verdicts),
        reasons=reason_lines(sections),
        open=open_points(
            runs, verdicts, sections, diagnosed, [*problems, *(line for one in searches for line in one.open)]
        ),
        commands=commands[:N_STEPS],
        pictures=telling_pictures(sections),
    )


def _asked(found: SweepVerdicts) -> str:
    return found.sweep_id if found.judged is None else found.judged.hypothesis.name


def markdown_screen(screen: FirstScreen) -> str:
    """Return the screen as Markdown, without its pictures and the questions' table."""
    parts = ["\n\n".join(f"**{markdown_text(told)}**" for told in screen.decisions)]
    for title, lines in (("Why", screen.reasons), ("What is not true yet", screen.open)):
        if lines:
            parts.append("\n".join([f"## {title}", "", *(f"- {markdown_text(line)}" for line in lines)]))
    if screen.commands:
        told = [f"- {markdown_text(f'{one.what} ({one.why}): {one.command}')}" for one in screen.commands]
        parts.append("\n".join(["## Next", "", *told]))
    return "\n\n".join(parts) + "\n"
