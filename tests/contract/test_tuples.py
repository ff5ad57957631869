"""Tuples survive YAML and JSON, by their keys' names and by their places, and overrides keep them."""

from typing import Any

import pytest

from runners.contract.tuple_json import dump_with_tuples, load_with_tuples
from runners.contract.tuples import KEY, find_departures, tuples_in, with_tuples, without_tuples

THEIRS: dict[str, Any] = {
    "pad": {"size": (640, 640), "pad_val": {"img": (114, 114, 114)}},
    "resize": {"scale": (640, 640)},
    "multiscale": {"scales": [(480, 480), (640, 640)]},
    "anchors": {"scales": [4, 8], "ratios": [0.5, 1.0], "ranges": ((1, 2), (3, 4))},
    "odd": {"out_indices": [1, 2], "scales": [[1, 2]], "in_channels": (256, 512)},
    "empty": {"a": (), "b": []},
}


def test_what_names_do_not_say_stands_beside_it() -> None:
    departures = find_departures(THEIRS, "model")
    assert departures == {
        "are": [
            "model.pad.size",
            "model.pad.pad_val.img",
            "model.anchors.ranges",
            "model.anchors.ranges.*",
            "model.odd.in_channels",
            "model.empty.a",
        ],
        "are_not": ["model.odd.out_indices", "model.odd.scales.*"],
    }
    assert tuples_in({"model": without_tuples(THEIRS), KEY: departures}, "model") == THEIRS


def test_a_config_that_follows_the_names_has_nothing_beside_it() -> None:
    assert find_departures({"scale": (1, 2), "scales": [(1, 2)], "anchors": {"scales": [8]}}, "model") == {}


def test_an_override_keeps_the_place_and_a_new_key_follows_its_name() -> None:
    plain = without_tuples(THEIRS)
    plain["pad"] = {"size": [96, 64]}
    plain["resize"] = {"scale": [96, 96], "scales": [[1, 2], [3, 4], [5, 6]]}
    restored = tuples_in({"model": plain, KEY: find_departures(THEIRS, "model")}, "model")
    assert restored["pad"] == {"size": (96, 64)}
    assert restored["resize"] == {"scale": (96, 96), "scales": [(1, 2), (3, 4), (5, 6)]}


def test_of_entries_that_differ_the_tuple_counts() -> None:
    choices = {"transforms": [{"scale": [1, 2]}, {"scale": (3, 4)}]}
    assert find_departures(choices, "") == {}
    assert with_tuples(without_tuples(choices)) == {"transforms": [{"scale": (1, 2)}, {"scale": (3, 4)}]}


def test_json_keeps_tuples() -> None:
    assert load_with_tuples(dump_with_tuples(THEIRS)) == THEIRS
    with pytest.raises(TypeError):
        dump_with_tuples({"a": {1, 2}})
