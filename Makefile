.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test check format openapi bench prove lock clean

BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
QIDA := $(BIN)/qida
CODE := worker tests $(wildcard benchmarks proofs)

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '  make %-8s %s\n' "$$target" "$$text"; done

setup: .venv/run.stamp  ## make .venv with .venv/bin/qida, as locked

run: .venv/run.stamp  ## watch sample cases on a demo clock; with QIDA_SMS set, run the worker
	$(QIDA) $(if $(QIDA_SMS)$(QIDA_EMAIL),run,demo) $(ARGS)

test: .venv/dev.stamp  ## run every test (ARGS="-k name" is passed on)
	$(PY) -m pytest -n 2 $(ARGS)

check: .venv/dev.stamp  ## format, lint, types, layers, shipped rules and templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	QIDA_HOME=. $(QIDA) rules check
	QIDA_HOME=. $(QIDA) templates check

format: .venv/dev.stamp  ## put the code into shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

openapi: .venv/run.stamp  ## write openapi.json from the routes
	$(PY) -m worker.api.document > openapi.json

bench: .venv/dev.stamp  ## measure speed and print the figures
	$(PY) -m benchmarks $(ARGS)

prove: .venv/dev.stamp  ## kill, fail and check at length: nothing lost, nothing twice
	$(PY) -m proofs --long $(ARGS)

lock:  ## resolve pyproject.toml into requirements/*.txt (ARGS=--upgrade for the newest)
	scripts/lock $(ARGS)

clean:  ## remove what can be made again
	rm -rf .venv .venv-ci dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find worker tests $(wildcard benchmarks proofs) -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp older than its lock means: install again.
.venv/run.stamp: requirements/build.txt requirements/run.txt pyproject.toml
	PYTHON="$(PYTHON)" scripts/create-venv .venv
	$(PIP) install --require-hashes --no-deps -r requirements/build.txt -r requirements/run.txt
	$(PIP) install --no-index --no-build-isolation --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements/dev.txt
	$(PIP) install --require-hashes --no-deps -r requirements/dev.txt
	@touch $@
