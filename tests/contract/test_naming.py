"""Titles: what a job is called."""

from tests.composition import compose


def test_a_title_is_the_studys_name_with_what_is_unusual_behind() -> None:
    assert compose("dataset=shapes")["title"] == "faster-rcnn_resnet50_fpn_sgd_512"
    unusual = compose(
        "dataset=shapes", "image_size=96px", "width=narrow", "weights=none", "schedule=2x", "box_loss=giou"
    )
    assert unusual["title"] == "faster-rcnn_resnet50_fpn_sgd_96_giou_2x_scratch_narrow"


def test_a_schedule_named_after_its_epochs_is_told_with_those_that_are_trained() -> None:
    assert compose("dataset=shapes", "schedule=4e")["title"].endswith("_512_4e")
    assert compose("dataset=shapes", "schedule=4e", "n_epochs=6")["title"].endswith("_512_6e")
