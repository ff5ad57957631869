"""How large the detectors of our groups are and what they cost, as `benchmarks/complexity_table.py` counted it once.

The controller never imports PyTorch, so it reads here what a job could count.
"""

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("complexity.csv")

GROUPS = ("detector", "backbone", "neck", "width")
COLUMNS = (
    "parameters_m",
    "adds_g_per_mpx",
    "adds_m_per_proposal",
    "saved_b_per_px",
    "saved_b_per_px_thawed",
    "saved_kb_per_roi",
)


@dataclass(frozen=True)
class Complexity:
    """One detector of the table, with COCO's 80 classes.

    Attributes:
        parameters_m: millions, frozen ones too.
        adds_g_per_mpx: 1e9 multiply-adds of a forward pass per 1e6 pixels, RoI heads not counted.
        adds_m_per_proposal: 1e6 multiply-adds of the RoI heads per region of interest.
        saved_b_per_px: bytes in float32 that a training step keeps for its backward pass, per pixel, where a ResNet's
            first stage is frozen; losses and the RoI heads not counted.
        saved_b_per_px_thawed: the same with nothing frozen.
        saved_kb_per_roi: 1e3 bytes that the RoI heads keep per region of interest.
    """

    parameters_m: float
    adds_g_per_mpx: float
    adds_m_per_proposal: float
    saved_b_per_px: float
    saved_b_per_px_thawed: float
    saved_kb_per_roi: float


def find_complexity(choices: Mapping[str, str]) -> Complexity | None:
    """Return what is known of a choice of groups; None for one that is not ours (a team's own backbone).

    Args:
        choices: group to option, as a job's config has it.
    """
    return read_table().get(tuple(str(choices.get(group)) for group in GROUPS))


@functools.cache
def read_table() -> Mapping[tuple[str, ...], Complexity]:
    """Read the table, by the options of `GROUPS`."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {
            tuple(row[group] for group in GROUPS): Complexity(**{name: float(row[name]) for name in COLUMNS})
            for row in csv.DictReader(file)
        }
