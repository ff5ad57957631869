"""What tells one training from another: of two jobs of one identity, which give the same numbers, one is enough."""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from runners.contract.coco import SPLITS
from runners.contract.digest import sha256_of
from runners.contract.errors import UserError
from runners.contract.naming import GROUPS
from runners.contract.plugin_sources import DIGEST, NAMES

# Raised with every change of detsweep that changes what a config is trained to: what older versions finished is then no
# longer reused.
TRAINING_VERSION = 1

# All of a config counts except what is listed here: a key forgotten here costs a training that was not needed, one
# forgotten in a list of what counts would give a job the numbers of another.
NAMING_KEYS = ("title", "choices")
# Of plug-ins only their digest counts, which is made of the names too.
PLUGIN_KEYS = (NAMES, DIGEST)
# Of the nodes of config groups: what names a choice, and what only says where weights are fetched, which counts by the
# address or the digest that it leads to.
NAMING_FIELDS = ("name", "title", "zoo")
PLACING_FIELDS = {"backbone": ("imagenet", "pretraining"), "detector": ("config",), "weights": ("path", "model")}


def job_identity(config: Mapping[str, Any], fingerprint: str, plugin_digest: str = "") -> str:
    """Return the SHA-256, in hex, of all that decides what a job is trained to.

    Args:
        config: the job's resolved config (``config.yaml``).
        fingerprint: of its data set (`runners.contract.coco.fingerprint`).
        plugin_digest: of the sources of the project's own plug-ins; empty without any.

    Raises:
        UserError: the config names a file of weights that is not there.
    """
    told = json.dumps(training_part(config, fingerprint, plugin_digest), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def recipe_identity(config: Mapping[str, Any], fingerprint: str, plugin_digest: str = "") -> str:
    """Return the identity that all replicates of a job share: those that differ from it in nothing but their seed.

    Args:
        config: as for `job_identity`.
        fingerprint: as for `job_identity`.
        plugin_digest: as for `job_identity`.

    Raises:
        UserError: as `job_identity`.
    """
    return job_identity({**config, "seed": None}, fingerprint, plugin_digest)


def training_part(config: Mapping[str, Any], fingerprint: str, plugin_digest: str = "") -> dict[str, Any]:
    """Return what the identity is a digest of; two jobs of different identities differ in it visibly.

    Args:
        config: as for `job_identity`.
        fingerprint: as for `job_identity`.
        plugin_digest: as for `job_identity`.

    Raises:
        UserError: as `job_identity`.
    """
    kept = {key: value for key, value in config.items() if key not in (*NAMING_KEYS, *PLUGIN_KEYS)}
    for group in GROUPS:
        if isinstance(kept.get(group), Mapping):
            dropped = (*NAMING_FIELDS, *PLACING_FIELDS.get(group, ()))
            kept[group] = {key: value for key, value in kept[group].items() if key not in dropped}
    # Stages are applied in their order, which sorted keys would hide; one that is left out is as good as absent.
    kept["pipeline"] = {
        name: [stage for stage in stages.values() if stage is not None] for name, stages in config["pipeline"].items()
    }
    hooks = [hook for hook in (kept.pop("custom_hooks", None) or {}).values() if hook is not None]
    kept |= {"custom_hooks": hooks} if hooks else {}
    kept["dataset"] = _dataset_part(config["dataset"], config.get("fold"), fingerprint)
    kept["load_from"] = _content_of(config.get("load_from"))
    # A file of one's own may hold a backbone only, and the job looks which; the zoo's checkpoints are whole detectors.
    kept["own_weights"] = config["weights"]["name"] == "file"
    kept = {key: _with_contents(value) for key, value in kept.items()}
    return {"training_version": TRAINING_VERSION, "plugins": plugin_digest, "config": kept}


def _dataset_part(dataset: Mapping[str, Any], fold: int | None, fingerprint: str) -> dict[str, Any]:
    """Return a data set by its content; where it lies, and how it came to be, do not matter."""
    part: dict[str, Any] = {
        "fingerprint": fingerprint,
        "classes": list(dataset["classes"]),
        "splits": [split for split in SPLITS if (dataset.get(split) or {}).get("ann_file") is not None],
    }
    if fold is not None:
        part["folds"] = [dataset.get("n_folds"), dataset.get("split_seed") or 0, dataset.get("group_by")]
    return part


def _with_contents(node: Any) -> Any:
    """Return plain data in which every file of weights that a part of the model starts from stands by its digest."""
    if isinstance(node, Mapping):
        opened = {str(key): _with_contents(value) for key, value in node.items()}
        if node.get("type") == "Pretrained":
            opened["checkpoint"] = _content_of(node.get("checkpoint"))
        return opened
    return [_with_contents(value) for value in node] if isinstance(node, list | tuple) else node


def _content_of(weights: str | None) -> str | None:
    """Return an address as it is, and a file by its digest, which stays the same wherever it is copied to."""
    if weights is None or "://" in weights:
        return weights
    path = Path(weights)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UserError(f"weights missing in weights.path: {path} ({found}); give weights.path=<a .pth file>")
    status = path.stat()
    return f"sha256:{_cached_digest(path, status.st_mtime_ns, status.st_size)}"


@lru_cache(maxsize=64)
def _cached_digest(path: Path, mtime_ns: int, n_bytes: int) -> str:
    """Read a file once for all jobs that start from it; an edited one is read again."""
    return sha256_of(path)
