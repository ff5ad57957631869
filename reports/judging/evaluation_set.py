"""The images that runs are judged on: one annotation file, its digest, and the weights that all runs on it share."""

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.judging.image_weights import image_weights
from runners.contract.errors import UserError


@dataclass(frozen=True)
class EvaluationSet:
    """One annotation file.

    Attributes:
        path: the file.
        truth: its content.
        fingerprint: SHA-256 of the file, in hex: runs on files of one fingerprint may be compared.
        group_by: key of the image records; images of one group are drawn together. None: each image is its own group.
    """

    path: Path
    truth: Mapping[str, Any]
    fingerprint: str
    group_by: str | None = None

    @cached_property
    def images(self) -> list[Mapping[str, Any]]:
        """The image records by ascending id."""
        return sorted(self.truth["images"], key=lambda image: int(image["id"]))

    @cached_property
    def groups(self) -> list[Hashable]:
        """The group of each image."""
        if self.group_by is None:
            return [image["id"] for image in self.images]
        # An image without the key stands alone, as it does in the folds.
        return [image.get(self.group_by, ("alone", image["id"])) for image in self.images]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(1 + J, N): weight one of every image, then those of the replicates."""
        drawn = image_weights(self.fingerprint, len(self.images), None if self.group_by is None else self.groups)
        return np.vstack([np.ones((1, len(self.images))), drawn])

    def n_groups_with(self, has_object: NDArray[np.bool_]) -> int:
        """Return how many groups hold an object.

        Args:
            has_object: (N,) of each image.
        """
        return len({group for group, counts in zip(self.groups, has_object, strict=True) if counts})


@lru_cache(maxsize=8)
def read_evaluation_set(path: Path, group_by: str | None = None) -> EvaluationSet:
    """Read an annotation file once for all runs that are judged on it.

    Raises:
        UserError: it is not there, or is no annotation file any more.
    """
    try:
        content = path.read_bytes()
        truth = json.loads(content)
    except (OSError, ValueError) as error:
        raise UserError(f"annotations in {path}: {error}; verdicts need the images' labels; restore the file") from None
    return EvaluationSet(path, truth, hashlib.sha256(content).hexdigest(), group_by)
