"""How many of the 101 recalls at which precision is read have been reached: exact, and without a search."""

import numpy as np
from numpy.typing import NDArray

# A hundredfold recall farther than this from a whole number is on the same side of it as the recall is.
_NEAR = 1e-9


def n_recalls(recall: NDArray[np.float64], recalls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many of the recalls are at most each of some.

    Args:
        recall: of any shape, at least 0.
        recalls: (101,) k/100 to within a rounding, ascending.
    """
    hundredfold = recall * 100
    nearest, reached = np.rint(hundredfold), np.floor(hundredfold)
    # A product may fall on the wrong side of a whole number; there the recalls themselves decide.
    doubtful = np.abs(hundredfold - nearest) < _NEAR
    whole = np.minimum(nearest[doubtful], 100).astype(np.int64)
    reached[doubtful] = whole - (recalls[whole] > recall[doubtful])
    counts: NDArray[np.float64] = np.minimum(reached, 100) + 1.0
    return counts
