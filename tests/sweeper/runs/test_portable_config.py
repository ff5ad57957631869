"""A run's config for other places: its paths at the top, its modules beside it, and nothing of where it was trained."""

from pathlib import Path

import pytest

from runners.contract.digest import sha256_of
from runners.contract.folder import SweepFolder
from runners.contract.plugin_sources import DIGEST, FOLDER, N_DIGITS, NAMES, digest_of
from runners.contract.records import AttemptResult
from runners.contract.states import AttemptOutcome
from sweeper.cli import main
from sweeper.runs.portable_config import portable_config
from tests.reports.sweep_writing import WrittenJob, write_sweep

CONFIG = """\
default_scope = 'mmdet'
model = dict(type='FasterRCNN', backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='/weights/r18.pth')))
train_dataloader = dict(
    dataset=dict(type='CocoDataset', data_root='/home/ann/data', ann_file='/out/splits/fold0-train.json',
                 pipeline=[dict(type='RandomRotate90'), {'type': 'Own', 'file name': '/home/ann/data/extra.json'}]))
val_dataloader = dict(dataset=dict(data_root='/home/ann/data', ann_file='val.json'))
val_cfg = dict(type='ValLoop')
val_evaluator = dict(ann_file='/home/ann/data/val.json')
test_dataloader = None
test_cfg = None
test_evaluator = None
load_from = '/home/ann/start.pth'
custom_imports = dict(imports=['runners.transforms', 'trash_augs'], allow_failed_imports=False)
"""


def executed(text: str) -> dict[str, object]:
    values: dict[str, object] = {}
    exec(text, values)
    return {key: value for key, value in values.items() if key != "__builtins__"}


def test_paths_stand_at_the_top_and_mean_what_they_meant() -> None:
    made = portable_config(CONFIG, "/home/ann/data", "a title\nwith a break", {"runners.transforms": "own_transforms"})
    assert made.paths == {
        "data_root": "/home/ann/data",
        "checkpoint_path": "/weights/r18.pth",
        "fold0_train_ann_file": "/out/splits/fold0-train.json",
    }
    top = made.text[: made.text.index("\ndefault_scope")].splitlines()
    assert top[0].startswith("# a title with a break, exported")
    assert top[2] == "data_root = '/home/ann/data'"
    assert made.text.count("/home/ann/data") == 1
    before, after = executed(CONFIG), executed(made.text)
    assert after["load_from"] is None
    assert after["custom_imports"]["imports"] == ["own_transforms", "trash_augs"]  # type: ignore[index]
    assert made.modules == ("own_transforms", "trash_augs")
    for key in before.keys() - {"load_from", "custom_imports"}:
        assert after[key] == before[key]
    moved = executed(made.text.replace("data_root = '/home/ann/data'", "data_root = 'here'"))
    assert moved["val_evaluator"] == {"ann_file": "here/val.json"}
    fold = {"/out/splits/fold0-train.json": "/new/fold0-train.json", "/home/ann/data": "/new/data"}
    there = portable_config(CONFIG, "/home/ann/data", "a title", {}, fold)
    assert there.paths["fold0_train_ann_file"] == "/new/fold0-train.json"
    assert executed(there.text)["val_evaluator"] == {"ann_file": "/new/data/val.json"}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A written sweep whose first job has weights and a config."""
    dataset = {"name": "coco", "root": "/home/ann/data", "classes": ["Löwe", "b c"]}
    sweep = write_sweep(tmp_path, [WrittenJob(settings={"dataset": dataset})])
    job = sweep.job("0001")
    job.mmdet_config.write_text(CONFIG.replace(", 'trash_augs'", ""))
    job.checkpoints.mkdir()
    (job.checkpoints / "a1_best.pth").write_bytes(b"weights")
    attempt = job.newest_attempt()
    assert attempt is not None
    digest = sha256_of(job.checkpoints / "a1_best.pth")
    AttemptResult(1, AttemptOutcome.COMPLETED, checkpoint="checkpoints/a1_best.pth", checkpoint_sha256=digest).write(
        attempt
    )
    return sweep


def test_an_export_holds_all_that_is_needed_and_appears_at_once(sweep: SweepFolder, tmp_path: Path) -> None:
    out = tmp_path / "new" / "exported"
    assert main(["export", "1", str(out), f"output_dir={tmp_path}"]) == 0
    names = {"README.md", "best.pth", "classes.txt", "config.py", "detsweep_transforms.py"}
    assert {path.name for path in out.iterdir()} == names
    assert (out / "classes.txt").read_text() == "Löwe\nb c\n"
    assert (out / "best.pth").read_bytes() == b"weights"
    text = (out / "README.md").read_text()
    assert len(text.splitlines()) <= 13
    assert "PYTHONPATH=. mim test mmdet config.py --checkpoint best.pth" in text
    assert "`data_root`" in text
    values = executed((out / "config.py").read_text())
    assert values["test_dataloader"] == values["val_dataloader"]
    assert values["test_cfg"] == {"type": "TestLoop"}
    assert "import runners" not in (out / "detsweep_transforms.py").read_text()
    assert "from runners" not in (out / "detsweep_transforms.py").read_text()
    assert [path.name for path in out.parent.iterdir()] == ["exported"]


@pytest.mark.parametrize("fault", ["taken", "changed", "no weights", "unfinished", "words"])
def test_what_cannot_be_exported_is_told_in_one_line_and_leaves_nothing(
    sweep: SweepFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    out, job = tmp_path / "out", sweep.job("0001")
    words = ["1", str(out)]
    if fault == "taken":
        out.mkdir()
        (out / "mine").touch()
    elif fault == "changed":
        (job.checkpoints / "a1_best.pth").write_bytes(b"other")
    elif fault == "no weights":
        (job.checkpoints / "a1_best.pth").unlink()
    elif fault == "unfinished":
        (job.attempts / "1" / "result.json").unlink()
    else:
        words = ["1"]
    assert main(["export", *words, f"output_dir={tmp_path}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not out.exists() or [path.name for path in out.iterdir()] == ["mine"]
    assert not list(tmp_path.glob(".*exporting"))


def test_the_projects_own_code_goes_along(sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    source = b"AUGS = 1\n"
    digest = digest_of(["trash_augs"], {"trash_augs/__init__.py": source})
    package = sweep.path / FOLDER / digest[:N_DIGITS] / "trash_augs"
    package.mkdir(parents=True)
    (package / "__init__.py").write_bytes(source)
    job = sweep.job("0001")
    with job.config.open("a") as file:
        file.write(f"{NAMES}: [trash_augs]\n{DIGEST}: {digest}\n")
    job.mmdet_config.write_text(CONFIG.replace("'runners.transforms', ", ""))
    out = tmp_path / "out"
    assert main(["export", "1", str(out), f"output_dir={tmp_path}"]) == 2  # whoever exports it would run it next
    assert main(["export", "1", str(out), f"trust_plugins={digest}", f"output_dir={tmp_path}"]) == 0
    assert (out / "trash_augs" / "__init__.py").read_bytes() == source
    assert not (out / "detsweep_transforms.py").exists()
    assert "It imports `trash_augs` from this folder" in (out / "README.md").read_text()
