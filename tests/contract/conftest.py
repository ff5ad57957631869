"""Fixtures of the tests of data sets."""

from pathlib import Path

import pytest

from tests.contract.sample_set import SampleSet


@pytest.fixture
def sample(tmp_path: Path) -> SampleSet:
    return SampleSet.write(tmp_path / "sample")
