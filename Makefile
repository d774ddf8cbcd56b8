# Python 3.11-3.13 with its venv module is all that must be there: `make demo` or `make test`. Repeat runs need no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Wheels only, so that no compiler is needed; the project itself is built by the pinned backend.
INSTALL := $(PIP) install --only-binary :all: -c constraints.txt
SOURCES := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench picture

help:
	@echo 'make demo    the broker with a simulated hospital, its page on http://127.0.0.1:8080'
	@echo 'make run     the broker with config/broker.yaml'
	@echo 'make test    the whole test suite'
	@echo 'make check   style, types, import direction, mappings'
	@echo 'make bench   the broker beside its peers: worklist, MPPS, images, HL7'

demo: $(VENV)/installed
	@$(BIN)/broker demo

run: $(VENV)/installed
	@$(BIN)/broker run --config config/broker.yaml

# The whole suite runs in several processes (tests/conftest.py says how many); TESTS="tests/unit -k order" names some of it, for one process.
test: $(VENV)/installed-test
	@$(BIN)/python -m pytest $(or $(TESTS),-n auto --dist worksteal)

check: $(VENV)/installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/broker check mappings
	@$(BIN)/broker test mappings

# The README's pictures, taken anew by the browser test of the demo.
picture: $(VENV)/installed-test
	@RADBROKER_PICTURES=$(CURDIR)/docs/images $(BIN)/python -m pytest tests/acceptance/test_demo_story.py -k page_shows

bench: $(VENV)/installed-test
	@$(BIN)/python -m bench $(BENCH)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { echo >&2 \
	  'radbroker needs Python 3.11, 3.12 or 3.13 with venv: install it (Debian: apt-get install python3 python3-venv) or name one, as in: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12'; exit 1; }
	@echo 'Setting up $(VENV) (once)'
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: $(SOURCES) | $(VENV)/bin/pip
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/installed-test: $(SOURCES) | $(VENV)/bin/pip
	@$(INSTALL) setuptools
	@$(INSTALL) --no-build-isolation -e '.[test]'
	@touch $(VENV)/installed $@
