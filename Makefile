# Two commands on a fresh machine: `make demo` and `make test`. Both set up what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done

.PHONY: setup demo test soak check gpu-check bench bench-verdicts clean

setup: $(STAMP)

# uv resolves and installs the few gigabytes of PyTorch in seconds where pip takes minutes; it comes from the same registry.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 12) else "error: Python 3.10-3.12 is wanted, found %d.%d; make PYTHON=python3.11 ..." % v)'
	@echo "detsweep: setting up $(VENV) (once)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/detsweep train recipe=demo

test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15

# Trains a real sweep, kills it at least 24 times at random moments, and verifies what is left; about ten minutes on two cores.
soak: setup
	$(BIN)/python -m benchmarks.soak

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

gpu-check: setup
	$(BIN)/python -m runners.gpu_check

# Nothing else should run meanwhile; about an hour on two cores. Tables here, JSON files in benchmarks/results.
bench: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

# How often verdicts are right, on simulated detectors and on real ones, and how long their replicates take.
bench-verdicts: setup
	$(BIN)/python -m benchmarks replicates verdict_real_runs verdict_image_noise verdict_calibration search_confirmation

clean:
	rm -rf $(VENV)
