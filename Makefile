# The commands of this repository; `make help` lists them.
#   STACK    the stack to work on (Pulumi.STACK.yaml)
#   CONTEXT  kubeconfig context to pin the stack to, at its first `make up`
#   EMPTY_VOLUMES  `yes`: `make up` creates empty volumes for those that have disappeared with their data
#   DATABASE_MOVED  `yes`: `make up` uses another database, in which the rows are already
#   STORE_MOVED     `yes`: `make up` uses another object store, to which the data has been copied
#   AT       the set for `make restore` and `make drill`: the beginning of its id or of its time; without it, the newest
#   NEW      `yes`: `make backup-key` replaces the recovery key
#   TARGET, IMAGE   for `make recover`: the target, if it has moved, and the image of restic, if it has to be another
#   OVER     `yes`: `make restore` replaces a database that has content
#   RESTORE_POINT  `no`: `make restore` does not back up what is there
#   MISSED_SCHEDULES  `run`: after `make restore`, Flyte starts what its schedules have missed
#   DRY_RUN  `1`: `make gc` only counts what it would delete
#   BACK, DROP_OLD_VOLUME  `yes`: `make upgrade` goes back to what was deployed before, or deletes earlier volumes
#   BACKUP   `no`: `make upgrade` takes no backup
#   JSON     `1`: `make doctor` prints one JSON document
#   OUT      folder for the output of `make render`
#   SECRETS  `show`: `make render` writes secret values instead of redacting them, in files that only you can read
#   GENERATION  generations that `make rotate` raises, such as `minioTasks webhook`; without it, all of the stack
#   K3S      `1`: `make cluster` installs k3s as a system service, with sudo
#   BASE     commit that `make ci-diff` compares with
#   REPORTS  folder for the reports of the ci- targets, see docs/ci.md
#   RELEASE  tag that `make ci-release` deploys; without it, the last one
#   ALLOW_DATA_LOSS, PULL_REQUEST   for `make ci-preview` and `make ci-comment`
#   CHECK    `yes`: `make digests` writes nothing, and compares the images with their registries
#   PARTS, SIZES, RUNS, IMAGE, SETTINGS   for `make bench`, see docs/performance.md
#   RATE, FOR, FLOW   for `make load`: executions a minute, seconds, and the workflow
#   NOT_READY   `accepted`: `make move-store` runs although it is not ready
#   WAY, CREDENTIALS, LIBRARY, TASK_IMAGE, CRON, NOTIFY   for `make example`, see examples/remedy_tidal/README.md
STACK ?= dev
CONTEXT ?=
EMPTY_VOLUMES ?=
DATABASE_MOVED ?=
STORE_MOVED ?=
AT ?= latest
NEW ?=
TARGET ?=
IMAGE ?=
OVER ?=
RESTORE_POINT ?=
MISSED_SCHEDULES ?=
DRY_RUN ?=
BACK ?=
DROP_OLD_VOLUME ?=
BACKUP ?=
JSON ?=
OUT ?= rendered/
SECRETS ?=
GENERATION ?=
K3S ?=
BASE ?= origin/main
REPORTS ?= .reports
RELEASE ?=
ALLOW_DATA_LOSS ?=
PULL_REQUEST ?=
CHECK ?=
PARTS ?= program life idle workflows closure
SIZES ?= 1,10,30,100
RUNS ?= 5
SETTINGS ?=
RATE ?= 30
FOR ?= 120
FLOW ?= one
WAY ?= local
CREDENTIALS ?=
LIBRARY ?=
TASK_IMAGE ?=
CRON ?=
NOTIFY ?=
EXAMPLE := examples/remedy_tidal
# The test layers; each is a folder of tests/.
LAYERS := unit commands repository example schema chart apiserver scripts engine
# The layer in which coverage is measured, of the program that a stack runs. In the others it would cost time and add
# nothing.
MEASURED := unit
# Two more processes than cores, because tests often wait for their servers.
WORKERS = $(shell $(PY) -c 'import os; print((os.cpu_count() or 1) + 2)')
PROGRAM := __main__.py,paths.py,settings/*,components/*
# A value as one word for the shell, whatever is in it: `make render OUT="my folder/"`.
quoted = '$(subst ','\'',$(1))'
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV = $(shell command -v uv || $(PY) -m ops.tools uv)

.DEFAULT_GOAL := help
.PHONY: help up upgrade backup backups backup-key backup-prune restore recover drill preview destroy leftovers render connect doctor abort-stuck gc rotate
.PHONY: move-database move-store bench load smoke example cluster cluster-delete tools test $(LAYERS:%=test-%) mutate check lock
.PHONY: docs versions digests types plugins test-tools ci-preview ci-diff ci-drift ci-release ci-diagnostics ci-images ci-comment ci-issue

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# Exactly the locked packages: the lock files name them all, and where a package asks for `coverage[toml]`, pip would
# take the newest version instead of the locked one. pip stays in the environment, because Pulumi uses it to list the
# packages.
$(VENV)/.installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

up: $(VENV)/.installed ## deploy the stack; the first time, pin it to the cluster
	@$(PY) -m ops.up $(call quoted,$(STACK)) $(if $(CONTEXT),--context $(call quoted,$(CONTEXT))) $(if $(filter yes,$(EMPTY_VOLUMES)),--empty-volumes) $(if $(filter yes,$(DATABASE_MOVED)),--database-moved) $(if $(filter yes,$(STORE_MOVED)),--store-moved)

upgrade: $(VENV)/.installed ## back up, show the preview, deploy and check; copies the database for another major version of PostgreSQL
	@$(PY) -m ops.upgrade $(call quoted,$(STACK)) $(if $(filter yes,$(BACK)),--back) $(if $(filter yes,$(DROP_OLD_VOLUME)),--drop-old-volume) $(if $(filter no,$(BACKUP)),--no-backup)

move-database: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## move all rows to the database that the stack file names by now, and use it
	@$(PY) -m ops.move_database $(call quoted,$(STACK))

move-store: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## refuses: not ready, see docs/outgrowing.md
	@[ '$(NOT_READY)' = accepted ] || { echo 'STOPPED  make move-store is not ready: its update can leave a state that Pulumi refuses. Nothing was changed. Move the store by hand, as docs/outgrowing.md says' >&2; exit 1; }
	@$(PY) -m ops.move_store $(call quoted,$(STACK))

preview: $(VENV)/.installed ## show what `up` would change
	@$(PY) -m ops.preview $(call quoted,$(STACK))

destroy: $(VENV)/.installed ## remove the stack from its cluster
	@$(PY) -m ops.destroy $(call quoted,$(STACK))

backup: $(VENV)/.installed ## make a verified, encrypted set of the database, the object store and Pulumi's state
	@$(PY) -m ops.backup $(call quoted,$(STACK))

backups: $(VENV)/.installed ## list the sets, with their age, size and checks
	@$(PY) -m ops.backups $(call quoted,$(STACK)) $(if $(JSON),--json)

backup-key: $(VENV)/.installed ## make a recovery key, show it once, and make a set that it opens
	@$(PY) -m ops.backup_key $(call quoted,$(STACK)) $(if $(filter yes,$(NEW)),--new)

recover: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## on a new machine: bring a stack back with its recovery key, into the cluster of CONTEXT
	@$(PY) -m ops.recover --context $(call quoted,$(CONTEXT)) --at $(call quoted,$(AT)) $(if $(TARGET),--target $(call quoted,$(TARGET))) $(if $(IMAGE),--image $(call quoted,$(IMAGE)))

restore: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## restore the set AT, and check the stack; over content only with OVER=yes
	@$(PY) -m ops.restore $(call quoted,$(STACK)) --at $(call quoted,$(AT)) $(if $(filter yes,$(OVER)),--over) $(if $(filter no,$(RESTORE_POINT)),--no-restore-point) $(if $(filter run,$(MISSED_SCHEDULES)),--missed-schedules)

drill: $(VENV)/.installed ## rehearse the restore of the newest set, or of AT, in a pod of its own
	@$(PY) -m ops.drill $(call quoted,$(STACK)) --at $(call quoted,$(AT))

leftovers: $(VENV)/.installed ## after `destroy`: check that nothing of the stack is left in its cluster
	@$(PY) -m ops.leftovers $(call quoted,$(STACK))

render: $(VENV)/.installed ## write what the stack deploys to files in OUT, without a cluster or Pulumi
	@$(PY) -m ops.render $(call quoted,$(STACK)) $(call quoted,$(OUT)) $(if $(filter show,$(SECRETS)),--show-secrets)

connect: $(VENV)/.installed ## keep the endpoints of the stack open on this machine until Ctrl-C
	@$(PY) -m ops.connect $(call quoted,$(STACK))

doctor: $(VENV)/.installed ## check the deployed stack, and show how to fix what is wrong
	@$(PY) -m ops.doctor $(call quoted,$(STACK)) $(if $(JSON),--json)

abort-stuck: $(VENV)/.installed ## end the executions that run only in the database, or only in the cluster
	@$(PY) -m ops.abort_stuck $(call quoted,$(STACK))

gc: $(VENV)/.installed ## delete what `retention` no longer keeps in the database now; with DRY_RUN=1, only count it
	@$(PY) -m ops.gc $(call quoted,$(STACK)) $(if $(filter 1 yes,$(DRY_RUN)),--dry-run)

# Flyte's client, in a separate environment.
$(EXAMPLE)/.venv/.installed: $(EXAMPLE)/requirements.txt
	$(PYTHON) -m venv $(EXAMPLE)/.venv
	$(EXAMPLE)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

rotate: $(VENV)/.installed ## replace the generated secrets of the stack, or only GENERATION, such as minioTasks
	@$(PY) -m ops.rotate $(call quoted,$(STACK)) $(foreach name,$(GENERATION),$(call quoted,$(name)))
	@$(PY) -m ops.up $(call quoted,$(STACK))

smoke: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## run the doctor, then the example workflow on the cluster
	@$(PY) -m ops.smoke $(call quoted,$(STACK))

# With WAY=python, uv installs the packages.
example: $(VENV)/.installed $(if $(filter python,$(WAY)),,$(EXAMPLE)/.venv/.installed) ## run the example workflow WAY=python, local, sandbox or cluster, or at fixed times: WAY=schedule
	@$(PY) -m ops.example $(call quoted,$(WAY)) --stack $(call quoted,$(STACK)) $(if $(CREDENTIALS),--credentials $(call quoted,$(CREDENTIALS))) $(if $(LIBRARY),--library $(call quoted,$(LIBRARY))) $(if $(TASK_IMAGE),--image $(call quoted,$(TASK_IMAGE))) $(if $(CRON),--cron $(call quoted,$(CRON))) $(if $(NOTIFY),--notify $(call quoted,$(NOTIFY)))

cluster: $(VENV)/.installed ## create a Kubernetes cluster on this machine for the stack dev: in Docker, or with K3S=1 as root
	@$(PY) -m ops.cluster $(if $(K3S),--k3s)

cluster-delete: $(VENV)/.installed ## delete that cluster with everything in it
	@$(PY) -m ops.cluster_delete

# Both deploy a stack of their own to CONTEXT, which must not have a Flyte, and destroy it at the end.
bench: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## measure the program, a stack's life, its idle use and its workflows
	@$(PY) -m bench --context $(call quoted,$(CONTEXT)) --parts $(call quoted,$(PARTS)) --sizes $(call quoted,$(SIZES)) --runs $(call quoted,$(RUNS)) --image $(call quoted,$(IMAGE)) --settings $(call quoted,$(SETTINGS))

load: $(VENV)/.installed $(EXAMPLE)/.venv/.installed ## start RATE executions a minute for FOR seconds, and show how a stack copes
	@$(PY) -m bench.load --context $(call quoted,$(CONTEXT)) --rate $(call quoted,$(RATE)) --for $(call quoted,$(FOR)) --flow $(call quoted,$(FLOW)) --image $(call quoted,$(IMAGE)) --settings $(call quoted,$(SETTINGS))

tools: $(VENV)/.installed ## find or download pulumi and kubectl, and print where they are
	@$(PY) -m ops.tools

test-tools: $(VENV)/.installed ## find or build the programs that the tests need
	@$(PY) -m tests.tools $(LAYERS)

plugins: $(VENV)/.installed ## install Pulumi's plugins, for the tests of the engine
	@$(PY) -m ops.plugins

test: $(VENV)/.installed $(EXAMPLE)/.venv/.installed check ## check the code and run all test layers that can run here
	@$(PY) -m tests.tools $(LAYERS)
	$(PY) -m pytest $(MEASURED:%=tests/%) --cov --cov-report=
	@$(PY) -m coverage report --include='$(PROGRAM)' --fail-under=95 --skip-covered --show-missing
	$(PY) -m pytest --numprocesses=$(WORKERS) $(filter-out $(MEASURED:%=tests/%),$(LAYERS:%=tests/%))

# make test-LAYER: one layer alone, such as `make test-unit`
test-example: $(EXAMPLE)/.venv/.installed
$(LAYERS:%=test-%): test-%: $(VENV)/.installed
	@$(PY) -m tests.tools $*
	$(PY) -m pytest tests/$*

mutate: $(VENV)/.installed ## break central lines one by one and check that a test fails each time
	@$(PY) -m tests.mutations

types: $(VENV)/.installed ## check only the types
	$(VENV)/bin/mypy

# Shell scripts are found by their first line; files that they source are checked with them. On Linux with arm64, the
# environment has no shellcheck, and that of the machine is used.
check: $(VENV)/.installed types ## check formatting, lint, types, shell and YAML
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$$(command -v $(VENV)/bin/shellcheck || echo shellcheck) $$(grep -rlE '^#!/bin/(ba)?sh' scripts .ci)
	$(VENV)/bin/yamllint --strict .

docs: $(VENV)/.installed ## regenerate the generated parts of the documentation
	@$(PY) -m ops.docs

versions: $(VENV)/.installed ## print what is pinned, and where
	@$(PY) -m ops.versions

digests: $(VENV)/.installed ## pin the digests of images that have none; with CHECK=yes, only compare with the registries
	@crane=$$($(PY) -m tests.tools --program crane) && $(PY) -m ops.digests "$$crane" $(if $(filter yes,$(CHECK)),--check)

# Renovate reads the command from the first lines of the files, and requires = in each option. No index is recorded.
COMPILE = $(UV) pip compile --quiet --generate-hashes --universal
lock: ## recompile the hashed lock files (with uv)
	$(COMPILE) --output-file=requirements.txt pyproject.toml
	$(COMPILE) --group=dev --constraint=requirements.txt --output-file=requirements-dev.txt pyproject.toml
	cd examples/remedy_tidal && $(COMPILE) --python-version=3.11 --output-file=requirements.txt workflow.py
	for tool in $(wildcard tests/tools/*/requirements.in ops/tools/*/requirements.in); do \
		(cd $$(dirname $$tool) && $(COMPILE) --python-version=3.11 --output-file=requirements.txt requirements.in) || exit 1; \
	done

# Called by the workflows in .github/workflows, see docs/ci.md.
ci-preview: $(VENV)/.installed ## report what `up` would change; fail if data would be lost, except with ALLOW_DATA_LOSS=yes
	@$(PY) -m ops.ci.preview $(call quoted,$(STACK)) $(call quoted,$(REPORTS)) $(if $(filter yes,$(ALLOW_DATA_LOSS)),--allow-data-loss)

ci-diff: $(VENV)/.installed ## report how the rendered manifests differ from BASE
	@$(PY) -m ops.ci.diff $(call quoted,$(BASE)) $(call quoted,$(REPORTS))

ci-drift: $(VENV)/.installed ## report whether the cluster and the stack still match the program
	@$(PY) -m ops.ci.drift $(call quoted,$(STACK)) $(call quoted,$(REPORTS))

ci-release: $(VENV)/.installed ## deploy the last release, or RELEASE, with the state of this clone, to try the upgrade from it
	@$(PY) -m ops.ci.release $(call quoted,$(STACK)) $(if $(RELEASE),--release $(call quoted,$(RELEASE)))

ci-diagnostics: $(VENV)/.installed ## write the condition of the stack and its cluster to REPORTS, without secrets
	@$(PY) -m ops.ci.diagnostics $(call quoted,$(STACK)) $(call quoted,$(REPORTS))

ci-images: $(VENV)/.installed ## print the references of all images, for the scan of vulnerabilities
	@$(PY) -m ops.ci.images

# With plain Python: the job that may write on GitHub installs no packages.
ci-comment: ## write the REPORTS into the only comment on PULL_REQUEST
	@$(PYTHON) -m ops.ci.comment $(call quoted,$(REPORTS)) $(if $(PULL_REQUEST),$(call quoted,$(PULL_REQUEST)))

ci-issue: ## write the REPORTS into the only issue about drift, or close it
	@$(PYTHON) -m ops.ci.issue $(call quoted,$(REPORTS))
