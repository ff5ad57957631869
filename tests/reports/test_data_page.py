"""The page about a data set: it needs nothing else, lets no name in it act, and shows what is suspected."""

import re
from pathlib import Path

import pytest

from reports.data_page import write_data_page
from reports.data_set.examination import examine
from runners.contract.coco_check import read_dataset
from tests.contract.sample_set import SampleSet
from tests.reports.test_page import HOSTILE, Elements


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")


def page_of(sample: SampleSet, problems: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> str:
    contents, _ = read_dataset(sample.node)
    found = examine("sample", contents, (512, 512), problems, notes)
    return write_data_page(found, sample.root / "page").read_text(encoding="utf-8")


def test_every_picture_stands_in_the_page(sample: SampleSet) -> None:
    page = Elements(page_of(sample))
    sources = [image["src"] or "" for image in page.of("img")]
    assert len(sources) == 8 + 4 + 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not page.of("link")
    assert not [script for script in page.of("script") if "src" in script]


def test_names_that_others_chose_do_nothing(sample: SampleSet) -> None:
    def rename(content: dict[str, object]) -> None:
        categories = content["categories"]
        assert isinstance(categories, list)
        categories[0]["name"] = HOSTILE

    sample.edit_all(rename)
    page = page_of(sample, problems=(HOSTILE,), notes=(f"\x1b[2J{HOSTILE}",))
    elements = Elements(page)
    assert len(elements.of("script")) == 1
    assert not [image for image in elements.of("img") if "onerror" in image]
    assert "\x1b" not in page
    (policy,) = [str(meta["content"]) for meta in elements.of("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_suspects_are_pictured_and_listed_with_what_they_mean(sample: SampleSet) -> None:
    sample.edit("train", lambda content: content["annotations"].append({**content["annotations"][0], "id": 9999}))
    page = page_of(sample)
    assert "Same box twice" in page
    assert "One of two right answers counts as wrong." in page
    assert "(id 9999)" in page
    assert len(Elements(page).of("img")) == 17


def test_a_set_that_cannot_be_trained_on_says_why_at_the_top(sample: SampleSet) -> None:
    page = page_of(sample, problems=("image missing in images: 3 of 8",))
    assert re.search(r"cannot be trained on.*image missing in images: 3 of 8", page, re.DOTALL)


def test_an_image_that_cannot_be_read_is_named_in_place_of_its_picture(sample: SampleSet) -> None:
    sample.image("train", 0).write_bytes(b"no image")
    page = page_of(sample)
    assert len(Elements(page).of("img")) == 15
    assert "train_00000.png (picture in" in page
