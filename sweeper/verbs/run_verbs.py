"""The commands about single runs: what to do with a trained detector, and how results come in and go out."""

from collections.abc import Mapping

from sweeper.verbs.verb import OUTPUT_DIR, RUN, STORE, Verb

CHECKPOINT = ("CHECKPOINT", "a .pth file that was trained elsewhere, with the overrides that compose its config")
TTA = ("tta=flip|multiscale", "look at each image mirrored as well, or that at three sizes, and merge what is found")
DEVICE = ("gpus=all|none|0,1", "where to compute, as train takes it: the first of them that is free")
LOG = ("log=false", "keep it out of the tracking store")

RUN_VERBS: Mapping[str, Verb] = {
    "evaluate": Verb(
        "RUN|CHECKPOINT [KEY=VALUE ...]",
        "measure a trained detector once more: another split, other data, several views of each image",
        [
            RUN,
            CHECKPOINT,
            ("split=val|test|train", "what to look at (val)"),
            TTA,
            ("dataset=OPTION dataset.root=FOLDER ...", "other data, of the same classes in any order"),
            ("model.KEY=VALUE pipeline.test.KEY=VALUE", "other settings of the test, as in model.test_cfg"),
            ("name=NAME", "of the evaluation; made of what it is by default"),
            ("again=true", "measure what has been measured already"),
            DEVICE,
            LOG,
            STORE,
            OUTPUT_DIR,
        ],
        [
            "evaluate 3",
            "evaluate best split=test tta=flip",
            "evaluate sweep/best dataset=coco dataset.root=../other-site split=test",
            "evaluate epoch_12.pth detector=faster_rcnn backbone=resnet50 dataset.root=data",
        ],
        ("sweeper.verbs.evaluate", "run_evaluate"),
        ["Numbers and COCO results stand in the job's folder, under evaluations/, and in its run of the store."],
    ),
    "predict": Verb(
        "RUN|CHECKPOINT IMAGES ... [KEY=VALUE ...]",
        "find objects in images: pictures with boxes, COCO results, competition file",
        [
            RUN,
            CHECKPOINT,
            ("IMAGES", "files, folders (with all below), patterns such as 'new/*.jpg'"),
            ("split=val|test|train", "the images of a split instead"),
            ("score=0.3", "draw what was found with at least this; files hold everything"),
            ("pictures=false", "draw none"),
            ("out=FOLDER", "where to write; the job's folder by default, under evaluations/"),
            TTA,
            ("again=true", "predict what has been predicted already"),
            DEVICE,
            LOG,
            STORE,
            OUTPUT_DIR,
        ],
        [
            "predict best new_images/ score=0.5",
            "predict 3 split=test tta=flip",
            "predict epoch_12.pth 'site/*.jpg' detector=faster_rcnn backbone=resnet50 dataset.root=data out=found",
        ],
        ("sweeper.verbs.predict", "run_predict"),
        ["An image that cannot be read is named and left out, the others are done: exit code 1."],
    ),
    "view": Verb(
        "RUN [RUN] [KEY=VALUE ...]",
        "look at what one run or two find, image by image: errors, and what one finds and the other misses",
        [
            RUN,
            ("RUN:VARIANT", "a stored evaluation of a run: 3:flip is what evaluate 3 tta=flip left"),
            ("split=val|test", "which images (val, as the last epoch found them)"),
            ("html=FILE", "write the 50 most telling images into one page that needs nothing else"),
            ("score=0.3", "take what was found with less for not found; the page in the browser begins with it"),
            ("port=N", "of the page in the browser; 8501, or the next that is free"),
            STORE,
            OUTPUT_DIR,
        ],
        ["view 3 7", "view best split=test", "view 3 7 html=diff.html"],
        ("sweeper.verbs.view", "run_view"),
        ["The page is seen from this machine alone, and needs Streamlit: pip install 'detsweep[view]'."],
    ),
    "export": Verb(
        "RUN FOLDER",
        "write a trained detector down for plain MMDetection: weights, config, classes, own code",
        [RUN, ("FOLDER", "where to; made, and not there before"), STORE, OUTPUT_DIR],
        ["export best exported", "export backbone/3 ../for-the-robot"],
        ("sweeper.verbs.export", "run_export"),
        ["Where the data lies stands at the top of config.py; the folder's README.md has the commands."],
    ),
    "ensemble": Verb(
        "RUN RUN ... [KEY=VALUE ...]",
        "fuse what several runs found, score it beside each of them, write the submission",
        [
            RUN,
            (
                "RUN:VARIANT",
                "a stored evaluation of a run: 3:flip is what evaluate 3 tta=flip left, val and test",
            ),
            ("method=wbf|nms", "weighted boxes fusion (Solovyev et al. 2021), or suppression by class"),
            ("iou=0.55", "above which two boxes are of one object"),
            ("weights=2,1", "one for each run; equal by default"),
            ("skip_score=0.01", "leave boxes of a lower score out"),
            ("split=test", "fuse test alone, as of runs of several folds, which have no val in common"),
            LOG,
            STORE,
            OUTPUT_DIR,
        ],
        ["ensemble 1 2 3", "ensemble best sweep/4:flip weights=2,1", "ensemble 1 2 3 4 5 split=test"],
        ("sweeper.verbs.ensemble", "run_ensemble"),
        ["Stands in the output folder under ensembles/, and as a run of its own in the tracking store."],
    ),
    "note": Verb(
        "RUN KEY=VALUE ...",
        "keep an outside score, or a remark, with a run",
        [
            RUN,
            ("KEY=VALUE", "a number or a text; a later one of the same key takes its place, and the earlier is kept"),
            STORE,
            OUTPUT_DIR,
        ],
        ['note 3 leaderboard=0.43 comment="flip, one fold"', "note best leaderboard=0.47"],
        ("sweeper.verbs.note", "run_note"),
        ["Reports show it in a column of its own, as noted by a person; no job is ranked by it."],
    ),
    "import": Verb(
        "WORK_DIR|SWEEP_FOLDER|TABLE.csv ... [KEY=VALUE ...]",
        "bring in what was trained or measured elsewhere",
        [
            ("WORK_DIR", "of mmdet 3.x: its best checkpoint is measured here on today's val, and becomes a marked run"),
            ("SWEEP_FOLDER", "folder of a sweep, or a tar file of one: it becomes one of the output folder, whole"),
            ("TABLE.csv", "a table of results with a column title, name or run: reports show it, apart from all else"),
            ("dataset=OPTION dataset.root=FOLDER ...", "the data that work dirs are measured on, as train takes it"),
            DEVICE,
            STORE,
            ("tracking=off", "let the tracking store know nothing of it"),
            OUTPUT_DIR,
        ],
        [
            "import work_dirs/* dataset.root=data",
            "import ../handed-over/20261103-101500_backbone_7f3a",
            "import backbone.tar.gz",
            "import results.csv",
        ],
        ("sweeper.verbs.import_verb", "run_import"),
        [
            "Importing the same again changes nothing. The config of a work dir is a Python program that is run to be",
            "read: it has to lie in the project, or in a folder under trusted_folders in its detsweep.yaml.",
        ],
    ),
}
