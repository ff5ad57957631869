"""What a check makes of a job's config: no weights are loaded, and the images are no larger than they have to be."""

from runners.check_job import LONGEST_SIDE_PX, longest_side_px, without_pretrained


def test_no_part_keeps_weights_that_it_would_be_loaded_from() -> None:
    fine = {"type": "Kaiming", "layer": "Conv2d"}
    pretrained = {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}
    model = {
        "backbone": {"type": "ResNet", "init_cfg": pretrained, "pretrained": "open-mmlab://resnet50"},
        "neck": {"init_cfg": [fine, pretrained], "pretrained": False},
        "heads": ({"init_cfg": fine}, {"init_cfg": {"checkpoint": "https://x/pvt.pth"}}),
    }
    assert without_pretrained(model) == {
        "backbone": {"type": "ResNet"},
        "neck": {"init_cfg": [fine], "pretrained": False},
        "heads": ({"init_cfg": fine}, {}),
    }


def test_images_have_as_many_cells_as_a_detector_has_queries() -> None:
    assert longest_side_px({"backbone": {"type": "ResNet"}}) == LONGEST_SIDE_PX
    for n_queries in (300, 900):
        longer = longest_side_px({"bbox_head": [{"num_queries": n_queries}]})
        n_cells = sum((longer // stride) * (longer // 2 // stride) for stride in (8, 16, 32, 64))
        assert n_cells >= n_queries
    assert longest_side_px({"num_queries": 900}) < 400
    assert longest_side_px({"bbox_head": {"anchor_generator": {"type": "SSD", "input_size": 300}}}) == 300
