# Everything a newcomer, a developer and CI need; each target sets up what it uses, once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-run
BIN := $(VENV)/bin
FIRMWARE := $(MAKE) --no-print-directory -C firmware_bridge/firmware
# Images of Python set it; then every worker would compile every test and library for itself.
unexport PYTHONDONTWRITEBYTECODE
# In the order that tests/conftest.py gives the files: else the long nights, few tests a file, come last
# and a core has nothing to do.
# One thread of BLAS a worker: with more, each waits for the others' cores, and busily.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
# Bash's own `time`, so that every step says how long it took.
timed = @echo "== $(1)"; TIMEFORMAT="-- $(1): %1R s"; time $(BIN)/$(2)

.PHONY: help demo test test-slow test-export test-firmware test-wheel test-image check format bench clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

demo: $(VENV)/.base ## scan the simulated specimen; ends with a map and a report
	@if [ -e "$(OUT)/journal.sqlite" ]; then \
	  kept="$(OUT)-$$(date -r "$(OUT)/journal.sqlite" +%Y%m%d-%H%M%S)"; mv "$(OUT)" "$$kept"; \
	  echo "the earlier run is kept in $$kept"; fi
	@# 5 is finished, too: a busy machine is late, and that is said.
	@$(BIN)/nightscope demo --out "$(OUT)" $(ARGS) || { code=$$?; ((code == 5)) || exit $$code; }
	@echo "open $(abspath $(OUT))/report.html"

# Who has no tests left takes some of another's. A fourth worker would load and collect all once more.
test: $(VENV)/.dev ## the default tests: about two minutes, no board, no network, no torch
	$(PYTEST) -n 4 --dist worksteal $(ARGS)

test-slow: $(VENV)/.dev ## the long tests: crashes, whole runs
	$(PYTEST) --loadscope-reorder -m "slow and not export" $(ARGS)

test-export: $(VENV)/.export ## training, quantising, packing: installs torch
	$(PYTEST) -m export $(ARGS)

test-firmware: $(VENV)/.dev ## the reference firmware: its core, fuzzed; its images under simavr
	$(FIRMWARE) firmware test-core fuzz
	$(PYTEST) -m firmware $(ARGS)

test-image: $(VENV)/.dev ## the image, built, does what docs/image.md says line by line; where containers run
	$(BIN)/python -m pytest -m image -rs $(ARGS)

# A build folder of an earlier checkout would put its old files into the wheel.
test-wheel: $(BIN)/python ## the wheel, alone in a new environment, far from the checkout, runs the demo
	@away=$$(mktemp -d); trap 'rm -rf "$$away"' EXIT; \
	rm -rf build/lib build/bdist.*; \
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$$away" .; \
	$(PYTHON) -m venv "$$away/env"; cd "$$away"; unset PYTHONPATH; \
	env/bin/pip install --quiet --disable-pip-version-check nightscope-*.whl; \
	env/bin/nightscope --version; \
	env/bin/nightscope demo --out night; \
	for made in map.png map.ome.tif report.html; do \
	  [[ -s "night/$$made" ]] || { echo "the demo made no $$made" >&2; exit 1; }; done

check: $(VENV)/.dev ## lint, format, types, imports, Dockerfile
	$(call timed,ruff check,ruff check .)
	$(call timed,ruff format,ruff format --check .)
	$(call timed,mypy --strict,mypy)
	$(call timed,lint-imports,lint-imports)
	$(call timed,hadolint,hadolint Dockerfile)

format: $(VENV)/.dev ## put the code in its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench ## every benchmark against its named peer
	@for file in benchmarks/*.py; do echo "== $$file"; PYTHONPATH=. $(BIN)/python "$$file"; done

clean: ## forget the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	  "Nightscope needs Python 3.11 or later; $(PYTHON) is %d.%d. Try: make PYTHON=python3.11" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. Try: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is older than pyproject.toml when the dependencies may have changed.
$(VENV)/.base: $(BIN)/python pyproject.toml
	$(INSTALL) -e .
	@# Compiled once, here, and not by the first scan or by every test process for itself.
	$(BIN)/nightscope doctor --controller --warm >/dev/null
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.base
	$(INSTALL) -e '.[bench]'
	@touch $@

$(VENV)/.export: $(VENV)/.dev
	$(INSTALL) -e '.[export,dev]'
	@touch $@
