"""A whole sweep as a user runs it: real training, a real store, the report; one job fails and one is interrupted."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from runners.contract.folder import JobFolder, SweepFolder
from runners.contract.records import AttemptResult
from sweeper.cli import main

pytestmark = pytest.mark.train

SHAPES = [
    *("dataset=shapes", "dataset.shapes.n_train=24", "dataset.shapes.n_val=8", "dataset.shapes.n_test=8"),
    *(
        "dataset.shapes.image_px=96",
        "image_size=96px",
        "backbone=resnet18",
        "width=narrow",
        "weights=none",
        "batch_size=4",
    ),
]


def detsweep(*words: str) -> list[str | Path]:
    return [Path(sys.executable).with_name("detsweep"), *words]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepFolder, subprocess.CompletedProcess[str]]:
    """Two jobs, of which one diverges: its learning rate is absurd and its clipping is off."""
    folder = tmp_path_factory.mktemp("project")
    words = ["train", *SHAPES, "n_epochs=1", "optimizer.lr=0.02,900", "optim_wrapper.clip_grad=null", "jobs_per_gpu=2"]
    shown = subprocess.run(detsweep(*words), cwd=folder, capture_output=True, text=True)
    (sweep,) = (path.parent for path in folder.glob("outputs/*/sweep.yaml"))
    return SweepFolder(sweep), shown


def job(sweep: SweepFolder, number: int) -> JobFolder:
    return sweep.job(f"{number:04d}")


def test_one_failed_job_leaves_the_other_and_the_report(
    swept: tuple[SweepFolder, subprocess.CompletedProcess[str]],
) -> None:
    sweep, shown = swept
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "FAILED" in shown.stdout
    for word in ("lr=0.02", "lr=900", "Comparison", f"report: {sweep.report / 'index.html'}", "mlflow ui"):
        assert word in shown.stdout
    assert (sweep.report / "index.html").is_file()


def test_the_good_job_leaves_what_the_folder_contract_promises(
    swept: tuple[SweepFolder, subprocess.CompletedProcess[str]],
) -> None:
    good = job(swept[0], 1)
    attempt = good.newest_attempt()
    assert attempt is not None
    result = AttemptResult.read(attempt)
    assert result is not None
    assert {
        "best/val/bbox_mAP_50",
        "train/bbox_mAP_50",
        "test/bbox_mAP_50",
        "cost/parameters_m",
    } <= result.metrics.keys()
    assert [path.name for path in good.checkpoints.iterdir()] == [Path(result.checkpoint or "").name]
    assert {path.name for path in good.predictions.glob("*.json")} >= {
        "a1_test.json",
        "a1_val_best.json",
        "a1_val_last.json",
    }
    config = yaml.safe_load(good.config.read_text(encoding="utf-8"))
    assert config["title"] == "faster-rcnn_resnet18_fpn_sgd_96_scratch_narrow_lr=0.02"
    assert config["lr_effective"] == pytest.approx(0.02 * 4 / 16)
    assert not config.keys() & {"gpus", "tracking", "output_dir", "hydra"}


# A process that knows mmengine, mmcv and mmdet alone. mmcv-lite lacks compiled operators, which only our bridge serves
# here: that is all of ours that it may import, before everything else.
PLAIN = """
import json, sys
from pathlib import Path

import runners.ops
runners.ops.install()
OURS = ("runners", "sweeper", "reports", "conf", "hydra_plugins")
for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
    if not name.startswith("runners.ops"):
        del sys.modules[name]


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OURS:
            raise ImportError(f"{name} is not there without detsweep")


sys.meta_path.insert(0, Refuse())
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner import Runner

*folders, rotated, image = map(Path, sys.argv[1:])
found = {}
for number, folder in enumerate(folders):
    config = next(path for path in (folder / "config.py",) if path.is_file())
    weights = next(folder.rglob("*best.pth"))
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.load_from = f"work{number}", str(weights)
    cfg.test_evaluator.outfile_prefix = f"results{number}"
    Runner.from_cfg(cfg).test()
    model = init_detector(str(config), str(weights), device="cpu")
    boxes = inference_detector(model, str(image)).pred_instances
    results = json.loads(Path(f"results{number}.bbox.json").read_text())
    found[str(folder)] = [results, boxes.bboxes.tolist(), model.dataset_meta["classes"]]
sys.path.insert(0, str(rotated))
init_detector(str(rotated / "config.py"), str(rotated / "best.pth"), device="cpu")
left = [name for name in sys.modules if name.split(".")[0] in OURS and not name.startswith("runners.ops")]
Path("found.json").write_text(json.dumps({"found": found, "ours": left}))
"""


def test_an_exported_run_gives_its_stored_predictions_in_plain_mmdetection(
    swept: tuple[SweepFolder, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    good = job(swept[0], 1)
    rotated = JobFolder(shutil.copytree(good.path, tmp_path / "rotated"))
    text = rotated.mmdet_config.read_text().replace("dict(type='PackDetInputs')", "dict(type='RandomRotate90')", 1)
    text += "custom_imports = dict(imports=['runners.transforms'], allow_failed_imports=False)\n"
    rotated.mmdet_config.write_text(text)
    exported = tmp_path / "exported"
    for source, target in ((good, exported), (rotated, tmp_path / "exported-rotated")):
        assert main(["export", str(source.path), str(target)]) == 0
    config = yaml.safe_load(good.config.read_text())["dataset"]
    truth = json.loads(Path(config["root"], config["test"]["ann_file"]).read_text())["images"]
    image = Path(config["root"], config["test"]["image_dir"], truth[0]["file_name"])
    words = [str(exported), str(good.path), str(tmp_path / "exported-rotated"), str(image)]
    shown = subprocess.run([sys.executable, "-c", PLAIN, *words], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr[-3000:]
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["ours"] == []
    stored = json.loads((good.predictions / "a1_test.json").read_text())
    assert len(stored) > 20
    by_score = sorted(stored, key=lambda d: (d["image_id"], d["category_id"], -d["score"], d["bbox"]))
    for results, boxes, classes in told["found"].values():
        assert classes == config["classes"]
        assert len(results) == len(stored)
        again = sorted(results, key=lambda d: (d["image_id"], d["category_id"], -d["score"], d["bbox"]))
        for one, other in zip(again, by_score, strict=True):
            assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])
            assert one["score"] == pytest.approx(other["score"], abs=1e-6)
            assert one["bbox"] == pytest.approx(other["bbox"], abs=1e-3)  # they are stored to a thousandth of a pixel
        assert len(boxes) == sum(d["image_id"] == truth[0]["id"] for d in stored)


def test_mlflow_holds_a_parent_and_a_run_per_job(
    swept: tuple[SweepFolder, subprocess.CompletedProcess[str]],
) -> None:
    from mlflow import MlflowClient

    sweep = swept[0]
    client = MlflowClient(f"sqlite:///{sweep.path.parent / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("detsweep").experiment_id])
    runs = {run.info.run_name: run for run in found}
    parent = runs.pop(sweep.sweep_id)
    good = runs["faster-rcnn_resnet18_fpn_sgd_96_scratch_narrow_lr=0.02"]
    bad = runs["faster-rcnn_resnet18_fpn_sgd_96_scratch_narrow_lr=900"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert (parent.info.status, good.info.status, bad.info.status) == ("FINISHED", "FINISHED", "FAILED")
    assert good.data.params["backbone"] == "resnet18"
    assert good.data.params["lr"] == "0.02"
    assert client.get_metric_history(good.info.run_id, "val/bbox_mAP_50")[0].step == 1
    assert {"config.yaml", "config.py", "predictions"} <= {
        file.path for file in client.list_artifacts(good.info.run_id)
    }
    assert "detsweep.failure" in bad.data.tags


def test_the_competition_file_has_a_row_per_test_image(
    swept: tuple[SweepFolder, subprocess.CompletedProcess[str]],
) -> None:
    sweep = swept[0]
    project = sweep.path.parents[1]
    shown = subprocess.run(
        detsweep("report", "submission", "1"), cwd=project, capture_output=True, text=True, check=True
    )
    written = [Path(line.removeprefix("wrote ")) for line in shown.stdout.splitlines()]
    table = next(path for path in written if path.suffix == ".csv")
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert len(rows) == 8
    assert set(rows[0]) == {"PredictionString", "image_id"}
    results = json.loads(next(path for path in written if path.suffix == ".json").read_text(encoding="utf-8"))
    assert isinstance(results, list)


def test_ctrl_c_lets_the_job_save_and_leaves_no_process(tmp_path: Path) -> None:
    words = ["train", *SHAPES, "n_epochs=50", "tracking=off"]
    process = subprocess.Popen(detsweep(*words), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (logs := list(tmp_path.glob("outputs/*/jobs/0001/attempts/1/metrics.jsonl"))):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2  # the server and the job
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "is saving" in out
    result = AttemptResult.read(JobFolder(logs[0].parents[2]).all_attempts()[0])
    assert result is not None
    assert result.outcome.value == "interrupted"
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
