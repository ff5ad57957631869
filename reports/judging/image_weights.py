"""Random weights of the images of an evaluation set: how often each would stand in a set drawn anew."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

N_REPLICATES = 1000


def image_weights(
    fingerprint: str, n_images: int, groups: Sequence[Hashable] | None = None, n_replicates: int = N_REPLICATES
) -> NDArray[np.int64]:
    """Return the weights that all runs on one evaluation set share (bootstrap of images; Everingham et al. 2015).

    Every run is weighted in the same way, so that differences between runs are those on the same images.

    Args:
        fingerprint: hex digest of the evaluation set; the weights follow from it.
        n_images: N, images by ascending id.
        groups: of each image what it belongs to (a video, a tile's slide); groups are drawn as a whole.
        n_replicates: J.

    Returns:
        (J, N) whole numbers; each row is multinomial over the groups, and sums to N where every image is its own group.
    """
    generator = np.random.default_rng(np.frombuffer(bytes.fromhex(fingerprint), dtype=np.uint8))
    if groups is None:
        return generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=n_replicates)
    number_of = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    member = np.array([number_of[group] for group in groups])
    n_groups = len(number_of)
    drawn = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_replicates)
    weights: NDArray[np.int64] = drawn[:, member]
    return weights
