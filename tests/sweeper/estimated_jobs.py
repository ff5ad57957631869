"""Jobs' configs as the estimates see them: composed once for each choice of groups."""

import functools
from collections.abc import Mapping
from typing import Any

from tests.composition import compose

CLASSES = ",".join(f"c{number}" for number in range(80))


@functools.cache
def job_config(*overrides: str) -> Mapping[str, Any]:
    """Return a job's config on a data set of 80 classes; not to be changed."""
    return compose("dataset=coco", "dataset.root=data", f"dataset.classes=[{CLASSES}]", *overrides)
