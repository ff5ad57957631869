"""The commands about a project and its machine: how to begin one, what there is to choose from, what is wrong here."""

from collections.abc import Mapping

from sweeper.verbs.verb import JSON, OUTPUT_DIR, STORE, Verb

PROJECT_VERBS: Mapping[str, Verb] = {
    "options": Verb(
        "[GROUP] [--json]",
        "the groups and their options, ours and your own, with what each is for",
        [("GROUP", "one of them, with a line for each option; all without it"), JSON],
        ["options", "options backbone"],
        ("sweeper.verbs.options", "run_options"),
    ),
    "doctor": Verb(
        "[--json] [KEY=VALUE ...]",
        "what is wrong on this machine and in this folder, with what to do",
        [
            JSON,
            OUTPUT_DIR,
            STORE,
            ("n_workers=N", "data loader processes of a job, as train takes it"),
        ],
        ["doctor", "doctor tracking.uri=http://host:5000"],
        ("sweeper.verbs.doctor", "run_doctor"),
        ["Exit code 1 if something is in the way of a sweep, 0 otherwise, warnings or not."],
    ),
}
