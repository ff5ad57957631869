"""The commands about single runs: what to do with a trained detector, and how results come in and go out."""

from collections.abc import Mapping

from sweeper.verbs.verb import OUTPUT_DIR, STORE, Verb

RUN_VERBS: Mapping[str, Verb] = {
    "import": Verb(
        "SWEEP_FOLDER ... [KEY=VALUE ...]",
        "bring in what was run elsewhere",
        [
            ("SWEEP_FOLDER", "folder of a sweep, or a tar file of one: it becomes one of the output folder, whole"),
            STORE,
            ("tracking=off", "let the tracking store know nothing of it"),
            OUTPUT_DIR,
        ],
        ["import ../handed-over/20261103-101500_backbone_7f3a", "import backbone.tar.gz output_dir=runs"],
        ("sweeper.verbs.import_verb", "run_import"),
        ["Importing the same again changes nothing."],
    ),
}
