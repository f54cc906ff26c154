# The whole project from a checkout. `make run` and `make test` need nothing but Python 3.11-3.13, make and a package index.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
EXTRAS := pipelines,serving,otel,dev

.PHONY: help setup run test check format openapi screenshots fuzz bench soak chaos constraints clean

help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 20

setup: .venv/.ready  ## make the environment in .venv, where it is not up to date

run: setup  ## generate data, run the graph, serve API (8123) and Dagster UI (3000); ARGS="--port 8124" changes options
	@exec $(BIN)/demandgraph up $(ARGS)

test: setup  ## run all tests
	$(BIN)/python -m pytest

check: setup  ## lint, format, types and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_boundaries.py tests/test_docs.py

format: setup  ## put every file into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: setup  ## write the reviewed API document, tests/serving/openapi.json, as it is served now
	$(BIN)/python -m tests.serving.reviewed

screenshots: setup  ## take the pictures of the Dagster UI in docs/, while `make run` runs; needs chromium
	$(BIN)/python docs/images/take.py $(ARGS)

fuzz: setup  ## ask a real server thousands of odd questions, by its own document
	$(BIN)/python -m tests.serving.fuzz

bench: setup  ## run every script of benchmarks/, one JSON line each
	@for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

soak: setup  ## publish snapshots under load for a minute; every answer is compared. ARGS="--seconds 600" changes options
	@$(BIN)/python benchmarks/soak.py $(ARGS)

chaos: setup  ## kill every process around running jobs, ten times each; no job may be lost. ARGS="--rounds 1" changes options
	@$(BIN)/python benchmarks/chaos.py --rounds 10 $(ARGS)

constraints:  ## resolve pyproject.toml afresh into constraints.txt
	@$(PYTHON) -m venv .venv-constraints && .venv-constraints/bin/pip install -q -e '.[$(EXTRAS)]'
	@sed -n '/^#/p' constraints.txt > constraints.new
	@.venv-constraints/bin/pip list --format=freeze --exclude-editable --exclude pip >> constraints.new
	@mv constraints.new constraints.txt && rm -rf .venv-constraints

clean:  ## remove what was built; data/ stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making the environment in .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@
