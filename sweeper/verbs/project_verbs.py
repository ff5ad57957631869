"""The commands about a project and its machine: how to begin one, what there is to choose from, what is wrong here."""

from collections.abc import Mapping

from sweeper.verbs.verb import JSON, OUTPUT_DIR, STORE, Verb

PROJECT_VERBS: Mapping[str, Verb] = {
    "init": Verb(
        "[FOLDER] [name=NAME] [data=FOLDER | train=FILE [val=FILE] [test=FILE]] [images=FOLDER]",
        "begin a project of your own in a folder, from the annotation files of your data",
        [
            ("FOLDER", "the project's; the working directory without it"),
            ("name=NAME", "what the data set is to be called: dataset=NAME"),
            ("data=FOLDER", "where train.json and the like are looked for; the project's folder without it"),
            ("train=FILE", "annotation file of train, if its name does not tell; without data= only named files count"),
            ("val=FILE", "likewise of val; null: there is none"),
            ("test=FILE", "likewise of test; null: there is none"),
            ("images=FOLDER", "where the images are, if they are not found"),
        ],
        ["init trash data=../aquatrash", "init name=trash train=train.json test=test.json"],
        ("sweeper.verbs.init", "run_init"),
        [
            "Nothing that exists is overwritten. In a project that has begun, data= or train= adds one more data set.",
        ],
    ),
    "options": Verb(
        "[GROUP] [--json]",
        "the groups and their options, ours and your own, with what each is for",
        [("GROUP", "one of them, with a line for each option; all without it"), JSON],
        ["options", "options backbone"],
        ("sweeper.verbs.options", "run_options"),
    ),
    "ui": Verb(
        "[KEY=VALUE ...]",
        "MLflow's page on the tracking store, with runs by sweep and the columns that compare them",
        [
            ("port=N", "of the page; 5000, or the next that is free"),
            ("tracking.experiment=NAME", "another experiment of the store"),
            STORE,
            OUTPUT_DIR,
        ],
        ["ui", "ui port=5050"],
        ("sweeper.verbs.ui", "run_ui"),
        ["The page is seen from this machine alone. A store that has a server has its address printed."],
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
