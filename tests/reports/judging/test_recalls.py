"""Recalls that have been reached are counted as a search would count them, on whole numbers and beside them."""

import numpy as np
import pytest

from reports.judging.recalls import n_recalls


@pytest.mark.parametrize("recalls", [np.linspace(0.0, 1.0, 101), np.arange(101) / 100], ids=["pycocotools", "tide"])
def test_as_many_as_a_search_finds(recalls: np.ndarray) -> None:
    objects = np.arange(1, 401)
    ratios = (np.arange(0, 401)[:, None] / objects)[np.arange(0, 401)[:, None] <= objects]
    beside = np.concatenate([np.nextafter(recalls, 2), np.nextafter(recalls, -1)[1:], recalls])
    recall = np.concatenate([ratios, beside, np.random.default_rng(0).random(10_000)]).reshape(-1, 1)
    expected = np.searchsorted(recalls, recall, side="right")
    assert np.array_equal(n_recalls(recall, recalls), expected)
