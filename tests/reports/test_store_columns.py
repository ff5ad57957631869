"""Which columns are chosen for the tracking store's table; with a real store in tests of its page."""

from reports.store_columns import varying


def test_groups_come_first_and_what_follows_from_others_is_left_out() -> None:
    runs = [
        {"seed": "0", "lr": "0.01", "lr_effective": "0.001", "neck": "fpn", "model.x": "1", "axis/seed": "0,1"},
        {"seed": "1", "lr": "0.02", "lr_effective": "0.002", "neck": "pafpn", "width": "narrow"},
        {"seed": "2", "lr": "0.02", "lr_effective": "0.002", "neck": "fpn"},
    ]
    assert varying(runs) == ["neck", "width", "lr", "seed", "model.x"]
    assert varying([]) == varying(runs[:1]) == []
