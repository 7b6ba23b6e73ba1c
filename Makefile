# PARC: `make demo` runs a whole iteration on a CPU, `make test` runs every check.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LIBS := motion testing rl
PLUGINS := data terrain mdm kinopt deepmimic mujoco ppo sac mpc sinks slurm ray

.PHONY: help setup demo test nightly lint types api clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## make .venv and install the core, every plugin and the test tools

# torch first and pinned: later requirements then find it, and pip takes the CPU build where one is offered
$(STAMP): pyproject.toml constraints.txt $(wildcard libs/*/pyproject.toml plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e . $(foreach p,$(LIBS),-e libs/parc_$(p)) $(foreach p,$(PLUGINS),-e plugins/parc_$(p)) \
	  -e 'plugins/parc_mujoco[warp]' -e 'plugins/parc_sinks[tensorboard]' \
	  'setuptools>=77' pytest pytest-xdist hypothesis ruff mypy types-PyYAML import-linter jsonschema
	touch $(STAMP)

demo: $(STAMP)  ## a whole PARC iteration on this machine's CPU, then a contact sheet of what it made
	$(BIN)/parc run examples/demo.yaml
	$(BIN)/parc render runs/demo --sheet -o runs/demo/sheet.png

test: lint types  ## lint, layers, types, contracts, tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadgroup

nightly: $(STAMP)  ## the tests with many more faults, kills, mutations and clips (hours)
	PARC_TEST_LEVEL=nightly OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: $(STAMP)  ## ruff (rules and format) and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy over libs, core and plugins
	$(BIN)/mypy

api: $(STAMP)  ## write docs/api.md from the code
	$(BIN)/python docs/generate_api.py

clean:  ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
