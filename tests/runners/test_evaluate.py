"""A trained detector looks at data once more: the same numbers, other data, several views, other people's weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.evaluations import EvaluationResult, EvaluationSpec
from runners.contract.folder import EvaluationFolder
from runners.contract.jsonfile import write_json
from runners.evaluate_job import evaluate_job
from runners.trained_weights import read_trained
from runners.views import views_model, views_pipeline
from tests.runners.conftest import Trained

pytestmark = pytest.mark.train


def evaluated(
    trained: Trained, folder: Path, config: Mapping[str, Any] | None = None, **spec: Any
) -> tuple[EvaluationResult, list[dict[str, Any]]]:
    """Evaluate in this process; return what was measured and found."""
    job, result = trained
    assert result.checkpoint is not None
    assert result.checkpoint_sha256 is not None
    evaluation = EvaluationFolder(folder)
    folder.mkdir(exist_ok=True)
    evaluation.config.write_text(
        yaml.safe_dump(config, sort_keys=False) if config else job.config.read_text(), encoding="utf-8"
    )
    told = {"checkpoint": str(job.path / result.checkpoint), "checkpoint_sha256": result.checkpoint_sha256, **spec}
    measured = evaluate_job(evaluation, EvaluationSpec(**{"split": "val", **told}), lambda *_: None)
    return measured, json.loads(evaluation.detections.read_text())


def config_of(trained: Trained) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(trained[0].config.read_text())
    return config


def test_without_views_it_is_what_the_training_measured(trained: Trained, tmp_path: Path) -> None:
    job, result = trained
    for split, kept in (("val", "val_best"), ("test", "test")):
        measured, found = evaluated(trained, tmp_path / split, split=split)
        stored = {name.removeprefix("best/"): value for name, value in result.metrics.items()}
        assert measured.metrics == {name: stored[name] for name in measured.metrics}
        assert f"{split}/bbox_mAP_50" in measured.metrics
        assert found == json.loads((job.predictions / f"a1_{kept}.json").read_text())
        assert (measured.n_images, measured.n_detections) == (8, len(found))


def test_views_are_merged_and_differ_from_one(trained: Trained, tmp_path: Path) -> None:
    _, plain = evaluated(trained, tmp_path / "plain")
    seen = {tuple(detection["bbox"]) for detection in plain}
    for tta in ("flip", "multiscale"):
        measured, found = evaluated(trained, tmp_path / tta, tta=tta)
        assert measured.metrics["val/bbox_mAP_50"] > 0
        assert found
        assert not {tuple(detection["bbox"]) for detection in found} <= seen
        # Boxes of the mirrored view come back to where the object is: all of them lie within the image.
        assert all(d["bbox"][0] >= -1 and d["bbox"][0] + d["bbox"][2] <= 97 for d in found)


def test_a_mirrored_view_finds_mirrored_boxes() -> None:
    """By a detector that always finds the left edge of what it is shown."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    class LeftEdge(torch.nn.Module):
        def test_step(self, data: Mapping[str, Any]) -> list[DetDataSample]:
            found = InstanceData(
                bboxes=torch.tensor([[0.0, 10.0, 20.0, 30.0]]), scores=torch.tensor([0.5]), labels=torch.tensor([0])
            )
            return [DetDataSample(pred_instances=found, metainfo=sample.metainfo) for sample in data["data_samples"]]

    meta = {"ori_shape": (50, 100), "flip": False, "flip_direction": None}
    views = [
        [DetDataSample(metainfo=meta)],
        [DetDataSample(metainfo={**meta, "flip": True, "flip_direction": "horizontal"})],
    ]
    model = views_model(LeftEdge(), {"rcnn": {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100}})  # type: ignore[arg-type]
    (merged,) = model.test_step({"inputs": [[None], [None]], "data_samples": views})
    assert merged.pred_instances.bboxes.tolist() == [[0.0, 10.0, 20.0, 30.0], [80.0, 10.0, 100.0, 30.0]]


def test_the_pipeline_of_views_resizes_then_mirrors_then_does_the_rest() -> None:
    stages = {
        "load": {"type": "LoadImageFromFile"},
        "resize": {"type": "Resize", "scale": [640, 640], "keep_ratio": True},
        "gone": None,
        "pad": {"type": "Pad", "size": [640, 640]},
        "pack": {"type": "PackDetInputs", "meta_keys": ["img_id", "ori_shape"]},
    }
    made = views_pipeline(stages, "multiscale")
    assert list(made) == ["load", "views"]
    resized, mirrored, pad, pack = made["views"]["transforms"]
    assert [stage["scale"] for stage in resized] == [[320, 320], [640, 640], [960, 960]]
    assert [stage["prob"] for stage in mirrored] == [1.0, 0.0]
    assert [stage["size"] for stage in pad] == [[960, 960]]  # the largest view has to fit
    assert pack[0]["meta_keys"][:2] == ["img_id", "ori_shape"]
    assert "flip_direction" in pack[0]["meta_keys"]
    flip = views_pipeline(stages, "flip")["views"]["transforms"]
    assert ([stage["scale"] for stage in flip[0]], flip[2][0]["size"]) == ([[640, 640]], [640, 640])
    assert stages["pad"] == {"type": "Pad", "size": [640, 640]}
    padded = views_pipeline({**stages, "pad": {"type": "Pad", "size": (640, 640)}}, "multiscale")  # of an mmdet config
    assert padded["views"]["transforms"][2][0]["size"] == (960, 960)
    for tta in ("flip", "multiscale"):
        with pytest.raises(UserError, match=r"0 stages resize to a scale \(load\)"):
            views_pipeline({"load": stages["load"]}, tta)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test_cfg", "wanted"),
    [
        ({"rpn": {"nms": {"iou_threshold": 0.7}}, "rcnn": {"nms": {"iou_threshold": 0.4}, "max_per_img": 7}}, (0.4, 7)),
        ({"nms": {"iou_threshold": 0.6}, "max_per_img": 300}, (0.6, 300)),
        ({"max_per_img": 50}, (0.5, 50)),
        (None, (0.5, 100)),
    ],
)
def test_views_are_merged_by_the_models_own_suppression(test_cfg: Any, wanted: tuple[float, int]) -> None:
    class Module(torch.nn.Module):
        def test_step(self, data: Any) -> None: ...

    settings = views_model(Module(), test_cfg).tta_cfg  # type: ignore[arg-type]
    assert (settings.nms.iou_threshold, settings.max_per_img) == wanted


def test_classes_in_another_order_are_the_same_classes(trained: Trained, shapes: Path, tmp_path: Path) -> None:
    _, plain = evaluated(trained, tmp_path / "plain")
    truth = json.loads((shapes / "val.json").read_text())
    # Other ids, and the categories the other way round.
    moved = {category["id"]: category["id"] * 10 for category in truth["categories"]}
    truth["categories"] = [{**entry, "id": moved[entry["id"]]} for entry in reversed(truth["categories"])]
    truth["annotations"] = [{**entry, "category_id": moved[entry["category_id"]]} for entry in truth["annotations"]]
    (tmp_path / "other.json").write_text(json.dumps(truth))
    config = config_of(trained)
    config["dataset"]["val"]["ann_file"] = str(tmp_path / "other.json")
    measured, found = evaluated(trained, tmp_path / "turned", config)
    assert measured.metrics["val/bbox_mAP"] == trained[1].metrics["best/val/bbox_mAP"]
    assert found == [{**entry, "category_id": moved[entry["category_id"]]} for entry in plain]

    truth["categories"][0]["name"] = "Kreis"
    (tmp_path / "other.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"classes differ in .*Kreis.*the model knows circle"):
        evaluated(trained, tmp_path / "foreign", config)


def test_images_of_somebodys_are_predicted_and_bad_ones_named(trained: Trained, shapes: Path, tmp_path: Path) -> None:
    truth = json.loads((shapes / "val.json").read_text())
    _, plain = evaluated(trained, tmp_path / "plain")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    files = [broken, *(shapes / "images" / image["file_name"] for image in truth["images"])]
    images = [{"id": number, "file_name": str(path), "width": 96, "height": 96} for number, path in enumerate(files, 1)]
    (tmp_path / "images").mkdir()
    write_json(tmp_path / "images" / "images.json", {"images": images, "categories": truth["categories"]})
    measured, found = evaluated(trained, tmp_path / "images", split=None)
    assert (measured.metrics, measured.n_images) == ({}, 8)
    assert list(measured.left_out) == [str(broken)]
    ids = {image["id"]: number for number, image in enumerate(truth["images"], start=2)}
    assert found == [{**entry, "image_id": ids[entry["image_id"]]} for entry in plain]


def test_a_changed_or_hostile_checkpoint_is_refused(trained: Trained, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "canary",)

    good = trained[0].path / str(trained[1].checkpoint)
    whole = good.read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><title>404</title>")
    torch.save({"state_dict": Hostile()}, tmp_path / "hostile.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    for name, told in {
        "cut": "cut short, or no torch file",
        "page": "a web page and no torch file",
        "hostile": "nothing of it was loaded",
        "empty": "holds dict and no weights",
    }.items():
        path = tmp_path / f"{name}.pth"
        with pytest.raises(UserError, match=told):
            read_trained(path, sha256_of(path), "cpu")
    assert not (tmp_path / "canary").exists()
    with pytest.raises(UserError, match=r"checkpoint changed in .*SHA-256 [0-9a-f]{12}, wanted 000000000000"):
        read_trained(good, "0" * 64, "cpu")
    with pytest.raises(UserError, match="no such file"):
        read_trained(tmp_path / "gone.pth", "0" * 64, "cpu")


def test_other_peoples_weights_are_matched_by_name(trained: Trained, tmp_path: Path) -> None:
    job, result = trained
    state = torch.load(job.path / str(result.checkpoint), weights_only=True)["state_dict"]
    classes = config_of(trained)["dataset"]["classes"]
    turned = [*classes[1:], classes[0]]

    def saved(name: str, tensors: Mapping[str, torch.Tensor], meta: Any = None) -> dict[str, Any]:
        path = tmp_path / f"{name}.pth"
        torch.save({"meta": {"dataset_meta": {"classes": meta}}, "state_dict": dict(tensors)}, path)
        return {"checkpoint": str(path), "checkpoint_sha256": sha256_of(path), "is_foreign": True}

    wrapped = saved("wrapped", {f"module.{name}": value for name, value in state.items()}, tuple(classes))
    assert (
        evaluated(trained, tmp_path / "1", **wrapped)[0].metrics["val/bbox_mAP"] == result.metrics["best/val/bbox_mAP"]
    )
    # As if they had been trained in another order: what was the second class is the first one now.
    _, plain = evaluated(trained, tmp_path / "2")
    _, found = evaluated(trained, tmp_path / "3", **saved("turned", state, tuple(turned)))
    truth = json.loads(Path(config_of(trained)["dataset"]["root"], "val.json").read_text())
    ids = {entry["name"]: entry["id"] for entry in truth["categories"]}
    now = {ids[old]: ids[new] for old, new in zip(classes, turned, strict=True)}
    assert [entry["category_id"] for entry in found] == [now[entry["category_id"]] for entry in plain]

    part = {name: value for name, value in state.items() if not name.startswith("neck.")}
    measured, _ = evaluated(trained, tmp_path / "4", **saved("part", part))
    (note,) = measured.notes
    assert f"{len(part)} of {len(state)} tensors" in note
    assert "neck.lateral_convs.0" in note
    with pytest.raises(UserError, match=r"of another architecture .*: 2 of \d+ tensors .*the first that is not is"):
        evaluated(trained, tmp_path / "5", **saved("other", dict(list(state.items())[:2])))
    with pytest.raises(UserError, match=r"trained on Kreis, square.*, the data has"):
        evaluated(trained, tmp_path / "6", **saved("names", state, ("Kreis", "square", "triangle")))
    wide = {**state, "roi_head.bbox_head.fc_cls.weight": torch.zeros(9, 7)}
    with pytest.raises(
        UserError, match=r"1 tensors have another shape .*\(9, 7\) there.*; it was trained for 8 classes"
    ):
        evaluated(trained, tmp_path / "7", **saved("wide", wide, tuple("abcdefgh")))
