# The commands of this repository; `make help` lists them.
#   STACK    the stack to work on (Pulumi.STACK.yaml)
#   CONTEXT  kubeconfig context to pin the stack to, at its first `make up`
#   REFRESH  `1`: `make up` looks at the cluster first, and makes what is gone there
#   JSON     `1`: `make doctor` prints one JSON document
#   OUT      where `make render` writes
#   SECRETS  `show`: render secret values instead of redacting them
#   K3S      `1`: let `make cluster` install k3s as a system service, with sudo
#   BASE     commit that `make ci-diff` compares with
#   REPORTS  folder of the reports that the ci- targets make, see docs/ci.md
#   ALLOW_DATA_LOSS, PULL_REQUEST   for `make ci-preview` and `make ci-comment`
#   WAY, CREDENTIALS, LIBRARY   how `make example` runs, see examples/remedy_tidal/README.md
STACK ?= dev
CONTEXT ?=
REFRESH ?=
JSON ?=
OUT ?= rendered/
SECRETS ?=
K3S ?=
BASE ?= origin/main
REPORTS ?= .reports
ALLOW_DATA_LOSS ?=
PULL_REQUEST ?=
WAY ?= local
CREDENTIALS ?=
LIBRARY ?=
EXAMPLE := examples/remedy_tidal
# The layers of the tests, each a folder of tests/.
LAYERS := unit repository example schema chart apiserver scripts engine
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV = $(shell command -v uv || $(PY) -m ops.tools uv)

.DEFAULT_GOAL := help
.PHONY: help up preview destroy render connect doctor smoke example cluster cluster-delete tools test $(LAYERS:%=test-%) mutate check lock
.PHONY: docs versions types plugins test-tools ci-preview ci-diff ci-drift ci-comment ci-issue

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# Exactly the locked packages. pip stays in the environment: Pulumi asks it what is installed.
$(VENV)/.installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

up: $(VENV)/.installed ## deploy the stack; the first time, pin it to the cluster
	@$(PY) -m ops.up $(STACK) $(if $(CONTEXT),--context $(CONTEXT)) $(if $(REFRESH),--refresh)

preview: $(VENV)/.installed ## show what `up` would change
	@$(PY) -m ops.preview $(STACK)

destroy: $(VENV)/.installed ## remove the stack from its cluster
	@$(PY) -m ops.destroy $(STACK)

render: $(VENV)/.installed ## write what the stack deploys to OUT, without cluster or Pulumi
	@$(PY) -m ops.render $(STACK) $(OUT) $(if $(filter show,$(SECRETS)),--show-secrets)

connect: $(VENV)/.installed ## open the way to the stack and keep it open until Ctrl-C
	@$(PY) -m ops.connect $(STACK)

doctor: $(VENV)/.installed ## see what is wrong with the deployed stack, and what mends it
	@$(PY) -m ops.doctor $(STACK) $(if $(JSON),--json)

# The client of Flyte, in an environment of its own.
$(EXAMPLE)/.venv/.installed: $(EXAMPLE)/requirements.txt
	$(PYTHON) -m venv $(EXAMPLE)/.venv
	$(EXAMPLE)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

smoke: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## the doctor, then the example workflow on the cluster
	@$(PY) -m ops.smoke $(STACK)

# What plain Python needs, uv installs.
example: $(VENV)/.installed $(if $(filter python,$(WAY)),,$(EXAMPLE)/.venv/.installed) ## run the example workflow WAY=python, local, sandbox or cluster
	@$(PY) -m ops.example $(WAY) --stack $(STACK) $(if $(CREDENTIALS),--credentials $(CREDENTIALS)) $(if $(LIBRARY),--library $(LIBRARY))

cluster: $(VENV)/.installed ## make a Kubernetes on this machine for the stack dev: in Docker, or K3S=1 with root
	@$(PY) -m ops.cluster $(if $(K3S),--k3s)

cluster-delete: $(VENV)/.installed ## remove that cluster, with all that is in it
	@$(PY) -m ops.cluster_delete

tools: $(VENV)/.installed ## find or fetch pulumi and kubectl, and say where they are
	@$(PY) -m ops.tools

test-tools: $(VENV)/.installed ## find or build the programs that the tests need
	@$(PY) -m tests.tools $(LAYERS)

# The versions that pyproject.toml pins, as Pulumi does not fetch them by itself in the tests.
plugins: ## install Pulumi's plugins, for the tests of the engine
	@for plugin in kubernetes random; do \
		version=$$(sed -nE "s/.*\"pulumi-$$plugin==([0-9.]+)\".*/\1/p" pyproject.toml); \
		pulumi plugin install resource $$plugin $$version || exit 1; \
	done

test: $(VENV)/.installed $(EXAMPLE)/.venv/.installed check ## check the code and run all layers of the tests that can run here
	@$(PY) -m tests.tools $(LAYERS)
	$(PY) -m pytest --cov --cov-report=
	@$(PY) -m coverage report --skip-covered --show-missing
	@$(PY) -m coverage report --include='__main__.py,paths.py,settings/*,components/*' --fail-under=95 --format=total >/dev/null

# make test-LAYER: one layer alone, such as `make test-unit`
test-example: $(EXAMPLE)/.venv/.installed
$(LAYERS:%=test-%): test-%: $(VENV)/.installed
	@$(PY) -m tests.tools $*
	$(PY) -m pytest tests/$*

mutate: $(VENV)/.installed ## break central lines one by one and see that a test fails each time
	@$(PY) -m tests.mutations

types: $(VENV)/.installed ## check the types alone
	$(VENV)/bin/mypy

# Scripts by their first line; what they source is checked with them.
check: $(VENV)/.installed types ## formatting, lint, types, shell, YAML
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/shellcheck $$(grep -rlE '^#!/bin/(ba)?sh' scripts .ci)
	$(VENV)/bin/yamllint --strict .

docs: $(VENV)/.installed ## write the generated parts of README.md and docs/ anew
	@$(PY) -m ops.docs

versions: $(VENV)/.installed ## say what is pinned, and where
	@$(PY) -m ops.versions

# Renovate reads the command from the first lines of the files; it wants an = in each option. No index is written down.
COMPILE = $(UV) pip compile --quiet --generate-hashes --universal
lock: ## compile the hashed lock files anew (with uv)
	$(COMPILE) --output-file=requirements.txt pyproject.toml
	$(COMPILE) --group=dev --constraint=requirements.txt --output-file=requirements-dev.txt pyproject.toml
	cd examples/remedy_tidal && $(COMPILE) --python-version=3.11 --output-file=requirements.txt workflow.py
	for tool in $(wildcard tests/tools/*/requirements.in); do \
		(cd $$(dirname $$tool) && $(COMPILE) --python-version=3.11 --output-file=requirements.txt requirements.in) || exit 1; \
	done

# What the workflows in .github/workflows call, see docs/ci.md.
ci-preview: $(VENV)/.installed ## report what `up` would change; fails where data would be lost, without ALLOW_DATA_LOSS=yes
	@$(PY) -m ops.ci.preview $(STACK) $(REPORTS) $(if $(filter yes,$(ALLOW_DATA_LOSS)),--allow-data-loss)

ci-diff: $(VENV)/.installed ## report how the rendered manifests differ from those of BASE
	@$(PY) -m ops.ci.diff $(BASE) $(REPORTS)

ci-drift: $(VENV)/.installed ## report whether cluster and stack are what the program says
	@$(PY) -m ops.ci.drift $(STACK) $(REPORTS)

# With Python alone: the job that may write on GitHub runs nothing else.
ci-comment: ## put the REPORTS into the one comment on PULL_REQUEST
	@$(PYTHON) -m ops.ci.comment $(REPORTS) $(PULL_REQUEST)

ci-issue: ## put the REPORTS into the one issue about drift, or close it
	@$(PYTHON) -m ops.ci.issue $(REPORTS)
