"""Seeds that share nothing, and generators that are given back."""

import random

import numpy as np
import torch

from runners.seeding import derived_seed, isolated_randomness, seed_everything


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_neighbouring_seeds_and_places_share_no_value() -> None:
    """Seed plus epoch, as in mmengine, would give seed 0 in epoch 1 what seed 1 has in epoch 0."""
    seeds = {derived_seed(seed, "augment", epoch, i) for seed in range(5) for epoch in range(5) for i in range(40)}
    assert len(seeds) == 1000
    assert derived_seed(1, "a") == derived_seed(1, "a") != derived_seed(1, "b")
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_isolated_randomness_repeats_itself_and_disturbs_nobody() -> None:
    seed_everything(5)
    undisturbed = [draw(), draw()]
    seed_everything(5)
    first = draw()
    with isolated_randomness(9):
        inside = draw()
    assert [first, draw()] == undisturbed
    with isolated_randomness(9):
        assert draw() == inside
