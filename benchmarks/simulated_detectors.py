"""Detectors that are made up, with a known truth: how verdicts are put to the test.

Every object has a latent visibility, and every distractor (something that could be taken for an object) one too: the
arm's quality, the seed's own, how easy the image and the object are (the same for all runs), what the arm makes of this
image and object, and what this seed makes of them. What is visible enough is detected; its score is the latent with
noise. A detection has one overlap with its object, so precision is that at one threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from reports.judging.matches import Matches

# Means of Poisson numbers.
OBJECTS_PER_IMAGE, DISTRACTORS_PER_IMAGE = 2.8, 3.5
# Deviations of the latent's parts.
IMAGE_SD, OBJECT_SD, ARM_IMAGE_SD, ARM_OBJECT_SD, SEED_IMAGE_SD, SEED_OBJECT_SD = 0.8, 1.0, 0.25, 0.35, 0.2, 0.6
SCORE_SD = 0.3
# Where objects and distractors stand above the threshold of detection, for an average precision near 0.63.
OBJECT_MEAN, DISTRACTOR_MEAN = 1.15, -0.7
HEAVY_TAIL_DF = 3


@dataclass(frozen=True)
class Scenario:
    """What is true of two arms.

    Attributes:
        name: for the table.
        seed_sd: deviation of a seed's own quality, in the latent's unit, of baseline and treatment.
        quality: of the treatment above the baseline, likewise; 0: no difference.
        same_arm: whether the two are one recipe (A/A): what the arm makes of images and objects is then the same.
        seed_correlation: between the seed effects of the two arms.
        is_heavy_tailed: whether seed effects are Student's t with three degrees of freedom.
        spread_sd: deviation of the logarithm of each arm's seed deviation.
        n_classes: classes, each with its own objects.
        base_quality: of both arms; high for easy data.
    """

    name: str
    seed_sd: tuple[float, float] = (0.0, 0.0)
    quality: float = 0.0
    same_arm: bool = False
    seed_correlation: float = 0.0
    is_heavy_tailed: bool = False
    spread_sd: float = 0.0
    n_classes: int = 1
    base_quality: float = 0.0


@dataclass
class World:
    """Images with objects and distractors, as all runs see them.

    Attributes:
        n_images: N.
        image: index of the image of everything in it.
        class_index: its class.
        is_object: whether it is an object.
        ease: the part of its latent that all runs share.
    """

    n_images: int
    image: NDArray[np.int64]
    class_index: NDArray[np.int64]
    is_object: NDArray[np.bool_]
    ease: NDArray[np.float64]
    image_ids: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.image_ids = np.arange(self.n_images)


def draw_world(scenario: Scenario, n_images: int, draw: Generator) -> World:
    """Return new images."""
    images, kinds = [], []
    for mean, is_object in ((OBJECTS_PER_IMAGE, True), (DISTRACTORS_PER_IMAGE, False)):
        numbers = draw.poisson(mean, n_images)
        images.append(np.repeat(np.arange(n_images), numbers))
        kinds.append(np.full(int(numbers.sum()), is_object))
    image, is_object = np.concatenate(images), np.concatenate(kinds)
    # A hard image hides its objects and looks like more than is there.
    per_image = draw.normal(0, IMAGE_SD, n_images)
    sign = np.where(is_object, 1.0, -1.0)
    mean = np.where(is_object, OBJECT_MEAN, DISTRACTOR_MEAN) + sign * scenario.base_quality
    ease = mean + sign * per_image[image] + draw.normal(0, OBJECT_SD, len(image))
    return World(n_images, image, draw.integers(0, scenario.n_classes, len(image)), is_object, ease)


def draw_arms(scenario: Scenario, world: World, n_seeds: int, draw: Generator) -> tuple[list[Matches], list[Matches]]:
    """Return the runs of baseline and treatment on a world."""
    effects = _seed_effects(scenario, n_seeds, draw)
    arms = [_arm_part(world, draw) for _ in range(2)]
    if scenario.same_arm:
        arms[1] = arms[0]
    first, second = (
        [_run(world, arm + quality * _sign(world), effect, scenario, draw) for effect in effects[number]]
        for number, (arm, quality) in enumerate(zip(arms, (0.0, scenario.quality), strict=True))
    )
    return first, second


def draw_recipe(world: World, draw: Generator) -> NDArray[np.float64]:
    """Return what a recipe of the baseline's quality makes of a world: the part of the latents that its runs share."""
    return _arm_part(world, draw)


def draw_runs(
    scenario: Scenario, world: World, recipe: NDArray[np.float64], n_seeds: int, draw: Generator
) -> list[Matches]:
    """Return runs of a recipe on a world, each with a seed of its own."""
    effects = _seed_effects(scenario, n_seeds, draw)[0]
    return [_run(world, recipe, effect, scenario, draw) for effect in effects]


def _sign(world: World) -> NDArray[np.float64]:
    return np.where(world.is_object, 1.0, -1.0)


def _arm_part(world: World, draw: Generator) -> NDArray[np.float64]:
    part: NDArray[np.float64] = _sign(world) * draw.normal(0, ARM_IMAGE_SD, world.n_images)[world.image]
    return part + draw.normal(0, ARM_OBJECT_SD, len(world.image))


def _seed_effects(scenario: Scenario, n_seeds: int, draw: Generator) -> NDArray[np.float64]:
    """Return (2, k) the quality of each seed."""
    shape = (3, n_seeds)
    if scenario.is_heavy_tailed:
        drawn = draw.standard_t(HEAVY_TAIL_DF, shape) / np.sqrt(HEAVY_TAIL_DF / (HEAVY_TAIL_DF - 2))
    else:
        drawn = draw.normal(0, 1, shape)
    common = np.sqrt(scenario.seed_correlation)
    effects = common * drawn[2] + np.sqrt(1 - scenario.seed_correlation) * drawn[:2]
    sd = np.array(scenario.seed_sd) * np.exp(draw.normal(0, scenario.spread_sd, 2))
    scaled: NDArray[np.float64] = effects * sd[:, None]
    return scaled


def _run(world: World, arm: NDArray[np.float64], quality: float, scenario: Scenario, draw: Generator) -> Matches:
    """Return what one run finds."""
    sign = _sign(world)
    seed_part = sign * draw.normal(0, SEED_IMAGE_SD, world.n_images)[world.image]
    latent = world.ease + arm + sign * quality + seed_part + draw.normal(0, SEED_OBJECT_SD, len(world.image))
    found = np.flatnonzero(latent > 0)
    score = latent[found] + draw.normal(0, SCORE_SD, len(found))
    order = np.lexsort((-score, world.class_index[found]))
    found, score = found[order], score[order]
    class_start = np.searchsorted(world.class_index[found], np.arange(scenario.n_classes + 1))
    n_objects = np.zeros((1, scenario.n_classes, world.n_images), np.uint16)
    np.add.at(n_objects[0], (world.class_index[world.is_object], world.image[world.is_object]), 1)
    return Matches(
        image_ids=world.image_ids,
        class_ids=np.arange(scenario.n_classes),
        area_ranges=np.array([[0.0, np.inf]]),
        class_start=class_start,
        image=world.image[found].astype(np.int32),
        score=score,
        # The lowest threshold's bit; the others find nothing and are not read.
        matched=world.is_object[found].astype(np.uint16)[None],
        ignored=np.zeros((1, len(found)), np.uint16),
        n_objects=n_objects,
    )


def values_of(runs: Sequence[Matches], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (k, J) the average precision of runs under weightings of the images, 0-1."""
    from reports.judging.average_precision import average_precision, mean_ap

    return np.stack([mean_ap(average_precision(run, weights), threshold=0) for run in runs])
