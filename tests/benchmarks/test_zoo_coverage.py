"""How the zoo's configs are counted: each in one group, and equal jobs once."""

import json
from pathlib import Path

import pytest

from benchmarks import zoo_coverage
from benchmarks.zoo_coverage import Answer, in_turns, read_answers, summary
from benchmarks.zoo_reasons import reason_of
from runners.contract.jsonfile import append_line


def test_every_family_has_its_turn_before_any_has_a_second() -> None:
    assert in_turns(["a/1", "a/2", "a/3", "b/1", "c/1", "c/2"]) == ["a/1", "b/1", "c/1", "a/2", "c/2", "a/3"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", ""),
        (
            "no detector of boxes in /x/sort/a.py: DeepSORT follows objects through videos; take a config",
            "aside: video",
        ),
        ("mmcv operator 'deform_roi_pool' wanted by model.roi_head: not served; leave", "mmcv operator not served"),
        (
            "no detector of boxes in /x/glip/b.py: GLIP is trained with text beside boxes; take a config",
            "is trained with text beside boxes",
        ),
        ("not done after 180 s", "too large for the measurement's limits"),
        ("sampler not possible in /x/y_8xb2.py: Odd 4 of 0.5; take", "sampler not possible : Odd N of N"),
    ],
)
def test_a_message_has_one_group(message: str, reason: str) -> None:
    assert reason_of(message) == reason


def test_configs_are_counted_by_how_far_they_come_and_equal_jobs_once(tmp_path: Path) -> None:
    answers = [
        Answer("a/1", "steps", same_as="x", operators=("nms",)),
        Answer("a/2", "steps", same_as="x", operators=("nms",), overrides=("schedule=1x",)),
        Answer("b/1", "training step", "TypeError: no", "TypeError: no", same_as="y"),
        Answer("b/2", "validation step", "TypeError: no", "TypeError: no", same_as="z"),
        Answer("c/1", "build", "mmcv operator 'p'", "mmcv operator not served", same_as="w"),
        Answer("d/1", "refused", "sampler", "sampler"),
        Answer("e/1", "refused", "video", "aside: video"),
    ]
    result = summary(answers, n_left=3)
    counts = {row["what"].strip(): (row["configs"], row["distinct"]) for row in result.rows}
    assert counts["configs of the zoo"] == (7, 6)
    assert counts["of these no detection configs"] == counts["video"] == (1, 1)
    assert counts["detection configs"] == (6, 5)
    assert counts["are built"] == (4, 3)
    assert counts["take a training step"] == (3, 2)
    assert counts["and a validation step"] == (2, 1)
    assert counts["refused in one line"] == (1, 1)
    assert counts["not: TypeError: no"] == (2, 2)
    assert result.details is not None
    assert result.details["operators that models may call, by configs"] == {"nms": 2}
    assert any("3 configs are not tried yet" in note for note in result.notes)
    result.tell(tmp_path)
    assert len(json.loads((tmp_path / "zoo_coverage.json").read_text(encoding="utf-8"))["details"]["answers"]) == 7


def test_answers_are_asked_again_if_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.jsonl"
    monkeypatch.setattr(zoo_coverage, "ANSWERS", path)
    assert read_answers() == {}
    for name, outcome, message in (("a", "steps", ""), ("b", "build", "wants skimage"), ("c", "build", "other")):
        append_line(path, {"name": name, "outcome": outcome, "message": message})
    assert set(read_answers()) == {"a", "b", "c"}
    assert set(read_answers("skimage")) == {"a", "c"}
    assert set(read_answers()) == {"a", "c"}
