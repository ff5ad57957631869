"""Batch normalisation that is synchronised between devices, where there is one device alone."""

from collections.abc import Mapping
from typing import Any

# Normalise by the statistics of all devices' images; of one device's that is what BN does. PyTorch's own refuses the
# CPU, and mmcv's a process that trains alone.
SYNCHRONISED = ("SyncBN", "MMSyncBN")


def without_synchronisation(model: Any) -> Any:
    """Return a model's config with plain batch normalisation; parameters keep their names."""
    if isinstance(model, Mapping):
        return {
            key: "BN" if key == "type" and value in SYNCHRONISED else without_synchronisation(value)
            for key, value in model.items()
        }
    if isinstance(model, list | tuple):
        return type(model)(without_synchronisation(entry) for entry in model)
    return model
