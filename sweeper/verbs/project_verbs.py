"""The commands about a project and its machine: how to begin one, what there is to choose from, what is wrong here."""

from collections.abc import Mapping

from sweeper.verbs.verb import JSON, Verb

PROJECT_VERBS: Mapping[str, Verb] = {
    "options": Verb(
        "[GROUP] [--json]",
        "the groups and their options, ours and your own, with what each is for",
        [("GROUP", "one of them, with a line for each option; all without it"), JSON],
        ["options", "options backbone"],
        ("sweeper.verbs.options", "run_options"),
    ),
}
