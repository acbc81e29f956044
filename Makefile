# `make help` lists what can be made. Only make, pip and Python 3.11 or later are needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
NODE_MODULES := $(if $(shell command -v npm 2>/dev/null),tests/sdks/node_modules/.package-lock.json)

# Domain and services touch nothing: every branch of them is run by a test.
SPINE := otp_service/domain/*,otp_service/services/*

.DEFAULT_GOAL := help
.PHONY: help run example test check bench mutants soak screenshots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.embedded ## start the service with a store and an SMS sandbox of its own
	@exec $(BIN)/otp-service dev $(ARGS)

example: $(VENV)/.embedded ## run one of examples/ beside `make run`; NAME=flask_login
	@[ -f examples/$(or $(NAME),-)/README.md ] || { echo 'Say which: make example NAME=flask_login, or another of examples/' >&2; exit 2; }
	@[ "$$OTP_URL" ] || { echo 'First paste the line "export OTP_URL=..." that make run prints.' >&2; exit 2; }
	@if [ -f examples/$(NAME)/package.json ]; then \
		cd examples/$(NAME) && npm install --silent --no-package-lock && exec node server.js; fi; \
	if [ -f examples/$(NAME)/requirements.txt ]; then \
		$(BIN)/pip install --quiet --disable-pip-version-check -r examples/$(NAME)/requirements.txt; fi; \
	exec $(BIN)/python examples/$(NAME)/app.py

# With bytecode, what the tests start need not compile everything anew. `worksteal` keeps the tests of a file
# together, so that what they share is started once.
test: $(VENV)/.dev $(NODE_MODULES) ## run every test; ARGS="-k phone" runs some
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal $(if $(ARGS),,--cov --cov-report=) $(ARGS)
	$(if $(ARGS),,$(BIN)/coverage report --show-missing --fail-under=100 --include='$(SPINE)')

check: $(VENV)/.dev ## format, lint, imports and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

bench: bench-throughput ## measure throughput; others: bench-compare REV=<commit>, bench-memory, -growth, -redis_cpu, -workers, -slow_provider, -startup, -metrics

bench-%: $(VENV)/.dev
	$(BIN)/python benchmarks/$*.py $(REV) $(ARGS)

mutants: $(VENV)/.dev ## break each requirement once and see that a test notices; ARGS="R05" tries some
	$(BIN)/python tests/mutants/run.py $(ARGS)

soak: $(VENV)/.dev ## ten minutes of mixed traffic with a fault every few seconds
	OTP_SOAK_SECONDS=$${OTP_SOAK_SECONDS:-600} $(BIN)/python -m pytest -q -s tests/faults/test_soak.py $(ARGS)

screenshots: $(VENV)/.dev ## draw the pictures of the docs anew
	OTP_SERVICE_SCREENSHOTS=1 $(BIN)/python -m pytest -q tests/browser/test_screenshots.py

clean: ## remove what the other targets made
	rm -rf $(VENV) tests/sdks/node_modules examples/express/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist

# Installed again only when pyproject.toml has changed. Development includes what a first run needs.
$(VENV)/.embedded: pyproject.toml
	@echo "Installing into $(VENV), once …" >&2
	@if [ ! -x $(BIN)/pip ]; then $(PYTHON) -m venv $(VENV); fi
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -e '.[embedded]'  # Python compiles what it uses
	@touch $@

$(VENV)/.dev: pyproject.toml
	@echo "Installing into $(VENV), once …" >&2
	@if [ ! -x $(BIN)/pip ]; then $(PYTHON) -m venv $(VENV); fi
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.embedded

$(NODE_MODULES): tests/sdks/package-lock.json
	npm ci --prefix tests/sdks --no-audit --no-fund
	@touch $@
