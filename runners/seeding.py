"""Randomness that depends on the seed and the place in training alone, so that training can be repeated from anywhere.

The order of images and the augmentation of each follow (seed, epoch, index), whatever the number of data loader
workers; what the model draws (which proposals train the heads) follows (seed, iteration).
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmdet.datasets import MultiImageMixDataset
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset

from runners.contract.errors import UserError
from runners.place import ALONE


def derived_seed(seed: int, *place: str | int) -> int:
    """Return 32 bits that any change of seed or place changes altogether; neighbouring seeds share nothing."""
    text = "/".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (the CPU, and CUDA if it is in use)."""
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed would, while CUDA sleeps, keep a stack trace of every call; this is called once per image.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Draw from generators seeded with `seed`; afterwards all of them stand where they stood before."""
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    is_cuda_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda_state = torch.cuda.get_rng_state() if is_cuda_used else None
    seed_everything(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda_state is not None:
            torch.cuda.set_rng_state(cuda_state)


@DATASETS.register_module()
class SeededDataset(Dataset[Any]):
    """A data set whose augmentation is repeatable: every item is made with generators of its own.

    Args:
        dataset: MMDetection's config of the data set.
        seed: the job's seed.
    """

    def __init__(self, dataset: dict[str, Any], seed: int) -> None:
        self.dataset = DATASETS.build(dataset)
        self._seed = seed
        # In shared memory: worker processes that live through all epochs must see the current one.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def metainfo(self) -> dict[str, Any]:
        """The wrapped data set's classes and palette."""
        return dict(self.dataset.metainfo)

    @property
    def pipeline(self) -> Any:
        """The transforms of the wrapped data set."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        """Take a whole other pipeline, loading included, as `PipelineSwitchHook` sets it: one of single images."""
        if isinstance(self.dataset, MultiImageMixDataset):
            self.dataset = self.dataset.dataset
        self.dataset.pipeline = pipeline

    def update_skip_type_keys(self, skip_type_keys: Sequence[str]) -> None:
        """Leave out some transforms from now on, as `YOLOXModeSwitchHook` wants it.

        Raises:
            UserError: the pipeline mixes no images, and MMDetection leaves out nothing then.
        """
        if not isinstance(self.dataset, MultiImageMixDataset):
            raise UserError(
                "hook without its pipeline in custom_hooks: YOLOXModeSwitchHook leaves out transforms that follow one "
                "that mixes images, and pipeline.train has no such; PipelineSwitchHook changes any pipeline"
            )
        self.dataset.update_skip_type_keys(list(skip_type_keys))

    def set_epoch(self, epoch: int) -> None:
        """Tell, before its iterator is made, which epoch (from 0) is drawn next."""
        self._epoch[0] = epoch

    def full_init(self) -> None:
        """Read the annotations."""
        self.dataset.full_init()

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Return what is known of an image without loading it; batch samplers group by shape with it."""
        return dict(self.dataset.get_data_info(index))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with isolated_randomness(derived_seed(self._seed, "augment", int(self._epoch[0]), index)):
            return self.dataset[index]


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(AspectRatioBatchSampler):  # type: ignore[misc]
    """MMDetection's batches, of which one epoch may begin in the middle.

    Attributes:
        n_seen: batches of the next epoch that are left out, none of their images loaded; later epochs are whole.
        place: which part of each batch is this process's; the batches are those of a process that trains alone.
    """

    n_seen = 0
    place = ALONE

    def __iter__(self) -> Iterator[list[int]]:
        # A generator, because data loaders make iterators that they never use: only a first batch counts.
        n_seen, self.n_seen = self.n_seen, 0
        for batch in islice(super().__iter__(), n_seen, None):
            yield self.place.share(batch)
