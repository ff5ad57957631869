"""Which changes of a config make another training of it, and which do not."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runners.contract.errors import UserError
from runners.contract.identity import job_identity, training_part
from tests.composition import compose

FINGERPRINT = "f" * 32

# Every leaf of a composed config that does not change the identity. What stands here names something, or says where it
# lies; everything else counts. An entry ending in a point stands for all below it.
NAMES_AND_PLACES = (
    "choices.",
    "title",
    *(f"{group}.name" for group in ("detector", "backbone", "neck", "box_loss", "image_size", "augment", "optimizer")),
    *(f"{group}.name" for group in ("schedule", "weights", "width")),
    *("detector.title", "backbone.title", "detector.zoo", "backbone.zoo", "neck.zoo"),
    *("backbone.imagenet", "backbone.pretraining"),  # counts as the checkpoint of the model's backbone
    "weights.model",  # counts as load_from
    *("dataset.name", "dataset.root", "dataset.shapes.", "dataset.skip_broken_images"),  # the fingerprint tells
    "dataset.hold_back",  # likewise
    *(f"dataset.{split}.{key}" for split in ("train", "val", "test") for key in ("ann_file", "image_dir")),
    *("dataset.n_folds", "dataset.group_by", "dataset.split_seed"),  # without a fold nothing is split
)

CONFIGS = {
    "shapes": ("dataset=shapes", "augment=mosaic"),
    "coco weights": ("dataset=shapes", "weights=coco", "detector=cascade_rcnn", "box_loss=giou"),
    "swin": ("dataset=shapes", "backbone=swin_t", "optimizer=adamw", "weights=none", "detector=retinanet"),
}


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if entries is None:
        yield path, node
        return
    for key, value in entries:
        yield from leaves(value, (*path, key))


def changed(config: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    other = copy.deepcopy(config)
    node: Any = other
    for key in path[:-1]:
        node = node[key]
    if isinstance(value, bool):
        node[path[-1]] = not value
    elif isinstance(value, int | float):
        node[path[-1]] = value + 1
    elif value is None:
        node[path[-1]] = {"type": "Other"} if path[0] == "pipeline" else "https://other"
    else:
        node[path[-1]] = f"{value}x"
    return other


def is_name_or_place(path: tuple[Any, ...]) -> bool:
    key = ".".join(map(str, path))
    return any(key.startswith(entry) if entry.endswith(".") else key == entry for entry in NAMES_AND_PLACES)


@pytest.mark.parametrize("overrides", CONFIGS.values(), ids=CONFIGS)
def test_every_leaf_counts_except_names_and_places(overrides: tuple[str, ...]) -> None:
    config = compose(*overrides)
    identity = job_identity(config, FINGERPRINT)
    found = list(leaves(config))
    assert len(found) > 200
    wrong = [
        (".".join(map(str, path)), "counts" if is_name_or_place(path) else "does not count")
        for path, value in found
        if (job_identity(changed(config, path, value), FINGERPRINT) == identity) is not is_name_or_place(path)
    ]
    assert wrong == []


def test_where_things_lie_and_how_an_option_is_called_do_not_matter(tmp_path: Path) -> None:
    config = compose("dataset=coco", "dataset.root=/data/here", "dataset.classes=[a,b]")
    other = compose("dataset=coco", "dataset.root=/mnt/there", "dataset.classes=[a,b]")
    for split in ("train", "val", "test"):
        other["dataset"][split] = {"ann_file": f"/splits/{split}.json", "image_dir": "elsewhere/"}
    other["choices"]["backbone"], other["backbone"]["name"] = "my_resnet", "my_resnet"
    other["title"] = "another title"
    assert job_identity(other, FINGERPRINT) == job_identity(config, FINGERPRINT)


def test_reading_a_config_back_from_its_file_keeps_the_identity() -> None:
    config = compose("dataset=shapes", "optimizer.lr=0.00001")
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
    assert job_identity(yaml.safe_load(text), FINGERPRINT) == job_identity(config, FINGERPRINT)


def test_data_plugins_and_training_version_count(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose("dataset=shapes")
    identities = {
        job_identity(config, FINGERPRINT),
        job_identity(config, "e" * 32),
        job_identity(config, FINGERPRINT, plugin_digest="a"),
    }
    monkeypatch.setattr("runners.contract.identity.TRAINING_VERSION", 2)
    identities.add(job_identity(config, FINGERPRINT))
    assert len(identities) == 4


def test_folds_count_only_where_one_is_held_out() -> None:
    def identity(**dataset: Any) -> str:
        config = compose("dataset=shapes", "dataset.val=null", f"fold={dataset.pop('fold')}")
        config["dataset"] |= dataset
        return job_identity(config, FINGERPRINT)

    folded = identity(fold=0, n_folds=5)
    assert identity(fold=0, n_folds=5, split_seed=None) == folded  # null is the seed 0
    others = {
        identity(fold=1, n_folds=5),
        identity(fold=0, n_folds=4),
        identity(fold=0, n_folds=5, split_seed=1),
        identity(fold=0, n_folds=5, group_by="video"),
    }
    assert len(others | {folded}) == 5
    assert identity(fold="null", n_folds=5) == identity(fold="null", n_folds=4)


def test_a_split_that_is_not_there_counts() -> None:
    config, without = compose("dataset=shapes"), compose("dataset=shapes", "dataset.test=null")
    assert job_identity(config, FINGERPRINT) != job_identity(without, FINGERPRINT)


def test_the_order_of_stages_counts_and_their_names_do_not() -> None:
    config = compose("dataset=shapes", "augment=flip")
    train = config["pipeline"]["train"]
    reversed_stages = {**config["pipeline"], "train": dict(reversed(train.items()))}
    renamed = {**config["pipeline"], "train": {f"my_{name}": stage for name, stage in train.items()}}
    without_empty = {name: stage for name, stage in train.items() if stage is not None}
    identity = job_identity(config, FINGERPRINT)
    assert job_identity({**config, "pipeline": reversed_stages}, FINGERPRINT) != identity
    assert job_identity({**config, "pipeline": renamed}, FINGERPRINT) == identity
    assert job_identity({**config, "pipeline": {**config["pipeline"], "train": without_empty}}, FINGERPRINT) == identity


def test_weights_of_ones_own_count_by_their_content(tmp_path: Path) -> None:
    first, copied, other = tmp_path / "first.pth", tmp_path / "copied.pth", tmp_path / "other.pth"
    first.write_bytes(b"weights")
    copied.write_bytes(b"weights")
    other.write_bytes(b"others!")

    def whole(path: Path) -> str:
        return job_identity(compose("dataset=shapes", "weights=file", f"weights.path={path}"), FINGERPRINT)

    def backbone(path: Path) -> str:
        return job_identity(compose("dataset=shapes", "weights=imagenet", f"backbone.imagenet={path}"), FINGERPRINT)

    assert whole(first) == whole(copied) != whole(other)
    assert backbone(first) == backbone(copied) != backbone(other)
    assert whole(first) != backbone(first)
    identity = whole(first)
    first.write_bytes(b"edited weights")
    assert whole(first) != identity
    first.unlink()
    with pytest.raises(UserError, match=r"weights missing in weights\.path: .*first\.pth \(no such file\)"):
        whole(first)


def test_what_is_hashed_can_be_read() -> None:
    part = training_part(compose("dataset=shapes"), FINGERPRINT)
    assert part["training_version"] == 1
    assert part["config"]["dataset"]["fingerprint"] == FINGERPRINT
    assert "choices" not in part["config"]
