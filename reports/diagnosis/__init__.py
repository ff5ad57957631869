"""Why a run has the numbers that it has: error types, confused classes, fit, sizes, costs, and what to try next."""
