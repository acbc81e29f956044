# `make help` lists the targets. They need only make, pip and Python 3.11 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWEST := .venv-newest
SERVER := .venv-server
ARGS ?=
# `deploy` instead of `dev` adds what the tests of deploy/ need: Helm's engine and schemas, 350 MB.
EXTRA ?= dev
NODE_MODULES := $(if $(shell command -v npm 2>/dev/null),$(addsuffix /node_modules/.package-lock.json,tests/sdks tests/npm))

.DEFAULT_GOAL := help
.PHONY: help run example test test-newest check bench mutants soak image-check screenshots docs redoc mermaid dist version release-check update-lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.embedded ## start the service with a private Redis and an SMS sandbox; ARGS="--keep DIR" keeps its data
	@exec $(BIN)/otp-service dev $(ARGS)

# The Python client is in the environment already.
example: $(VENV)/.embedded ## run one of examples/ against `make run`; NAME=flask_login
	@[ -f examples/$(or $(NAME),-)/README.md ] || { echo 'Say which: make example NAME=flask_login, or another of examples/' >&2; exit 2; }
	@[ "$$OTP_URL" ] || { echo 'First paste the line "export OTP_URL=..." that make run prints.' >&2; exit 2; }
	@if [ -f examples/$(NAME)/package.json ]; then \
		cd examples/$(NAME) && npm install --silent --no-package-lock && exec node server.js; fi; \
	if [ -f examples/$(NAME)/requirements.txt ]; then \
		grep -v clients/python examples/$(NAME)/requirements.txt | \
			$(BIN)/pip install --quiet --disable-pip-version-check -r /dev/stdin; fi; \
	exec $(BIN)/python examples/$(NAME)/app.py

# With bytecode, the processes that tests start need not compile the package again. `worksteal` keeps the tests
# of a file together, so that their shared fixtures start once.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal

# Tracing makes Python much slower, so only the tests that must cover every branch are traced.
UNIT := tests/domain tests/services

test: $(VENV)/.dev $(NODE_MODULES) ## run all tests; ARGS="-k phone" selects some
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) $(UNIT) --cov
	$(PYTEST) $(addprefix --ignore=,$(UNIT))
endif

# Every other environment has the versions in constraints/.
test-newest: ## run all tests with the newest versions that pyproject.toml allows, in an environment of its own
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/pip install --quiet --disable-pip-version-check -e '.[$(EXTRA)]' -e 'clients/python[async]'
	touch $(NEWEST)/.dev $(NEWEST)/.embedded
	$(NEWEST)/bin/pip list --format=freeze
	$(MAKE) VENV=$(NEWEST) test

check: $(VENV)/.dev ## format, lint, imports and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	cd clients/python && ../../$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

bench: bench-throughput ## measure throughput; others: bench-compare REV=<commit>, bench-memory, -growth, -redis_cpu, -workers, -slow_provider, -startup, -metrics

bench-%: $(VENV)/.dev
	$(BIN)/python benchmarks/$*.py $(REV) $(ARGS)

mutants: $(VENV)/.dev ## break each requirement once and check that a test fails; ARGS="R05" selects some
	$(BIN)/python tests/mutants/run.py $(ARGS)

soak: $(VENV)/.dev ## run ten minutes of mixed traffic with a fault every few seconds
	OTP_SOAK_SECONDS=$${OTP_SOAK_SECONDS:-600} $(BIN)/python -m pytest -q -s tests/faults/test_soak.py $(ARGS)

image-check: $(VENV)/.dev ## execute the steps of deploy/Dockerfile in a chroot of Debian; as root, needs debootstrap
	OTP_SERVICE_IMAGE=1 $(BIN)/python -m pytest -q -s tests/deploy/test_image_build.py $(ARGS)

screenshots: $(VENV)/.dev ## take the pictures of the docs again
	OTP_SERVICE_SCREENSHOTS=1 $(BIN)/python -m pytest -q tests/browser/test_screenshots.py

docs: $(VENV)/.dev ## build the documents as a site into site/, and check every link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo 'Open site/index.html'

REDOC := otp_service/web/docs_page
redoc: ## fetch the Redoc bundle of the docs page from npm; VERSION=2.5.4
	@tar=$$(cd $${TMPDIR:-/tmp} && npm pack --silent redoc@$(or $(VERSION),2.5.4)) && \
	tar -xzf $${TMPDIR:-/tmp}/$$tar -C $(REDOC) --strip-components=2 \
		package/bundles/redoc.standalone.js package/bundles/redoc.standalone.js.LICENSE.txt && \
	tar -xzOf $${TMPDIR:-/tmp}/$$tar package/LICENSE > $(REDOC)/redoc.LICENSE.txt && rm $${TMPDIR:-/tmp}/$$tar

MERMAID := tools/site/theme/assets/vendor
mermaid: ## fetch Mermaid for the site from npm, without the large diagram types; VERSION=11.17.2
	@tar=$$(cd $${TMPDIR:-/tmp} && npm pack --silent @mermaid-js/tiny@$(or $(VERSION),11.17.2)) && \
	tar -xzOf $${TMPDIR:-/tmp}/$$tar package/dist/mermaid.tiny.js > $(MERMAID)/mermaid.tiny.js && \
	tar -xzOf $${TMPDIR:-/tmp}/$$tar package/LICENSE > $(MERMAID)/mermaid.LICENSE.txt && rm $${TMPDIR:-/tmp}/$$tar

# The widget is built by the esbuild that it is tested with.
dist: $(VENV)/.dev $(filter tests/npm/%,$(NODE_MODULES)) ## build the Python and npm packages in dist/, with their checksums
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	cd clients/python && ../../$(BIN)/python -m hatchling build -d ../../dist
	PATH="$(CURDIR)/tests/npm/node_modules/.bin:$$PATH" npm pack --silent --pack-destination dist ./clients/js ./clients/widget
	rm -rf clients/widget/dist
	cd dist && sha256sum * > SHA256SUMS

version: $(VENV)/.dev ## write a new version to every place that has it; VERSION=1.2.3
	$(BIN)/python tools/release_version.py --set '$(VERSION)'

# The bill of materials lists what is installed in an environment that has only the service. cyclonedx-py reads
# no version that a build backend determines. Without --strict, pip-audit would ignore a package that the
# vulnerability service does not know.
release-check: $(VENV)/.release dist ## check versions and changelog, write a bill of materials, look for known vulnerabilities
	rm -rf $(SERVER)
	$(PYTHON) -m venv --without-pip $(SERVER)
	$(BIN)/pip --python $(SERVER)/bin/python install --quiet --disable-pip-version-check \
		--require-hashes --only-binary :all: -r constraints/server.txt
	$(BIN)/pip --python $(SERVER)/bin/python install --quiet --disable-pip-version-check --no-index --no-deps dist/otp_service-*.whl
	sed "s/^dynamic = .*/version = \"$$($(BIN)/python -c 'from otp_service import __version__; print(__version__)')\"/" \
		pyproject.toml > $(SERVER)/pyproject.toml
	$(BIN)/cyclonedx-py environment --pyproject $(SERVER)/pyproject.toml --output-reproducible \
		--output-file dist/otp-service.cdx.json $(SERVER)/bin/python
	cd dist && rm SHA256SUMS && sha256sum * > SHA256SUMS
	$(BIN)/python tools/release_version.py --changelog
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r constraints/server.txt

update-lock: $(VENV)/.release ## write constraints/ with the newest versions that pyproject.toml allows; ARGS=--add keeps today's
	$(BIN)/python tools/update_lock.py $(ARGS)

clean: ## remove the files that the other targets created
	rm -rf $(VENV) $(NEWEST) $(SERVER) tests/sdks/node_modules tests/npm/node_modules clients/widget/node_modules clients/widget/dist examples/express/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist site

# Installs what a file of constraints/ has, whose hashes pip checks, and the packages of this checkout.
# Installed again only when that file or a pyproject.toml has changed.
define install
	@echo "Installing into $(VENV), once …" >&2
	@if [ ! -x $(BIN)/pip ]; then $(PYTHON) -m venv $(VENV); fi
	@$(BIN)/pip install --quiet --disable-pip-version-check $(1) --require-hashes -r constraints/$(2).txt
	@$(BIN)/pip install --quiet --disable-pip-version-check $(1) --no-index --no-deps --no-build-isolation -e . -e clients/python
	@touch $@
endef

$(VENV)/.embedded: constraints/embedded.txt pyproject.toml clients/python/pyproject.toml
	$(call install,--no-compile,embedded)  # Python compiles what it uses

# Development includes what a first run needs.
$(VENV)/.dev: constraints/$(EXTRA).txt pyproject.toml clients/python/pyproject.toml
	$(call install,,$(EXTRA))
	@touch $(VENV)/.embedded

$(VENV)/.release: constraints/release.txt $(VENV)/.dev
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints/release.txt
	@touch $@

$(NODE_MODULES): %/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund
	@touch $@
