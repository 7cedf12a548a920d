# Everything a fresh machine needs: python >= 3.10 and make.
#
#   make demo    move the bundled sample export, without any account
#   make sandbox stand-ins of both services: the whole journey, without any account
#   make scale   Dagster on the same stand-ins: a migration in ranges, on several machines
#   make test    set up and pass every test: some minutes
#   make test-fast  the tests that start no processes, with a tenth of the made-up examples: a minute
#   make bench   measure the speed: about 20 minutes, with nothing else running
#   make bench-memory  the tap's memory with an hour of 2 GB: some minutes
#   make test-dagster  the ranges as an asset of Dagster, in process: half a minute
#   make test-scale  that, and all services of a real Dagster, with workers killed: some minutes
#   make bench-ranges  what a range of a migration costs, and an hour in the book: some minutes
#   make check   format, lint, types, docs, tests: the same as CI
#   make dist    build both packages into dist/
#   make upgrade write the newest versions into constraints.txt
#   make help    this list

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Exact versions, the same on every machine. They name no package index, so a mirror serves as well.
PINS := constraints.txt
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(PINS) --build-constraint $(PINS)
MELTANO := $(BIN)/meltano --environment=demo
CODE := tap-amplitude target-posthog orchestration tests docs benchmarks tools

# Dagster's requirements are not the plugins': an environment of its own.
SCALE := .venv-scale
SCALE_PINS := orchestration/constraints.txt

# Both make every start of a Python process slower; some shells and images set them.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONUNBUFFERED :=
export MELTANO_SEND_ANONYMOUS_USAGE_STATS := false
export MELTANO_CLI_DISABLE_VERSION_CHECK := 1

.PHONY: help setup demo sandbox scale test test-fast test-dagster test-scale check format lint schemas types docs bench bench-growth bench-memory bench-ranges dist upgrade clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(VENV)/ready

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed; set PYTHON to one: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) uv
	@touch $@

$(VENV)/ready: $(VENV)/python $(PINS) pyproject.toml tap-amplitude/pyproject.toml target-posthog/pyproject.toml
	@$(UV) --editable ./tap-amplitude --editable './target-posthog[report]' "meltano~=4.4"
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	@$(UV) --group dev
	@touch $@

demo: $(VENV)/ready
	@rm -rf output
	$(MELTANO) run tap-amplitude target-posthog
	@echo; echo "Every request that PostHog would have got, one a line:"; ls -l output/preview

# Its PostHog begins empty, so the state of an earlier sandbox must go.
sandbox: $(VENV)/ready-to-test
	@$(BIN)/meltano --environment=sandbox state clear --force \
		sandbox:tap-amplitude-to-target-posthog >/dev/null 2>&1 || true
	@$(BIN)/python -m tools.sandbox

scale: $(SCALE)/ready $(VENV)/ready-to-test
	@$(BIN)/python -m tools.scale

test: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses=auto --hypothesis-profile=ci

test-fast: $(VENV)/ready-to-test
	$(BIN)/python -m pytest --numprocesses=auto --hypothesis-profile=dev -m "not slow"

$(SCALE)/ready: $(VENV)/python $(SCALE_PINS) orchestration/pyproject.toml
	@echo "Setting up $(SCALE) …"
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(SCALE)
	@$(BIN)/uv pip install --quiet --python $(SCALE)/bin/python --constraint $(SCALE_PINS) \
		--build-constraint $(PINS) --editable './orchestration[dagster]' --group orchestration/pyproject.toml:dev
	@touch $@

test-dagster: $(SCALE)/ready
	$(SCALE)/bin/mypy --config-file orchestration/pyproject.toml
	$(SCALE)/bin/python -m pytest --config-file=orchestration/pyproject.toml --rootdir=. \
		orchestration/tests/on_dagster

test-scale: test-dagster $(VENV)/ready-to-test
	$(BIN)/python -m pytest orchestration/tests/services

check: $(VENV)/ready-to-test lint types docs test-dagster test
	@echo "All services of a real Dagster, with workers killed, have tests of their own: make test-scale"

format: $(VENV)/ready-to-test
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lint: $(VENV)/ready-to-test
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	PYTHONPATH=orchestration $(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/typos
	@$(MAKE) --no-print-directory schemas

SCHEMA := $(BIN)/check-jsonschema --quiet --builtin-schema
schemas: $(VENV)/ready-to-test
	$(SCHEMA) vendor.meltano meltano.yml
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml

types: $(VENV)/ready-to-test
	$(BIN)/mypy

docs: $(VENV)/ready-to-test
	$(BIN)/python docs/generate_settings.py --check
	$(BIN)/python docs/generate_mapping.py --check
	$(BIN)/python docs/generate_catalog.py --check

bench: $(VENV)/ready-to-test
	$(BIN)/python -m benchmarks

# With 5,000,000 events: it needs 3 GB for the export and for what is sent.
bench-growth: $(VENV)/ready-to-test
	$(BIN)/python -m benchmarks --large

# Makes the hour first, which needs 1 GB of disk.
bench-memory: $(VENV)/ready-to-test
	$(BIN)/python -m benchmarks.memory

bench-ranges: $(VENV)/ready-to-test
	PYTHONPATH=orchestration $(BIN)/python -m benchmarks.ranges

dist: $(VENV)/python
	rm -rf dist
	$(BIN)/uv build --quiet --build-constraint $(PINS) --out-dir dist tap-amplitude
	$(BIN)/uv build --quiet --build-constraint $(PINS) --out-dir dist target-posthog

upgrade: $(VENV)/python
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --all-extras --group dev \
		--no-annotate --custom-compile-command "make upgrade" --output-file $(PINS) \
		pyproject.toml tap-amplitude/pyproject.toml target-posthog/pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --all-extras --group dev \
		--no-annotate --custom-compile-command "make upgrade" --output-file $(SCALE_PINS) \
		orchestration/pyproject.toml

clean:
	rm -rf $(VENV) $(SCALE) .meltano output
