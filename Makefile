# What can be typed here. Each line of a recipe can be typed by hand too; CI calls the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup dev run test quick check format vectors scenarios apicases bench soak reference docs dist lock mutants clean

PY := .venv/bin/python
UP := .venv/bin/pvbinder up --ephemeral --bare
JOBS ?= 2
DIR ?= tests/vectors/data
# what finds most mistakes in a minute of processor: the pure parts, the client, the kinds, and who may do what
QUICK := tests/rules tests/model tests/vectors tests/kube tests/server/kinds/built_in tests/server/identity/authorization
COVERAGE := coverage==7.17.5
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## prepare .venv/ with what running needs (the command is then .venv/bin/pvbinder); PYTHON=... chooses the interpreter
	@PYTHON="$(PYTHON)" tools/setup

dev: ## the same with what tests and checks need
	@PYTHON="$(PYTHON)" tools/setup dev

run: setup ## start a control plane, apply the quick start and watch claims bind; Ctrl-C stops it
	@.venv/bin/pvbinder up --ephemeral --apply examples/quickstart --apply examples/dynamic-provisioning --watch

test: dev ## all tests (minutes); TESTS=tests/rules for some
	$(PY) -m pytest -n $(JOBS) --dist worksteal $(TESTS)

quick: dev ## more than a quarter of the tests, in a minute of processor: rules, client, kinds, authorisation
	$(PY) -m pytest -n $(JOBS) --dist worksteal -m "not slow and not kubectl and not soak" $(QUICK)

mutants: dev ## tell which small mistakes no test would notice (a day): SAMPLE=80 of each room, ROOMS="rules store", SEED=2
	@$(PY) -m pip install --quiet --disable-pip-version-check '$(COVERAGE)'
	$(PY) -m tools.mutation $(ROOMS) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) --children $(JOBS)

check: dev ## formatting, lint, types, layers, then all tests
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) -m pytest -n $(JOBS) --dist worksteal

format: dev ## put the code into shape
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

vectors: dev ## run every vector file of a directory against the real code: make vectors DIR=path
	@$(PY) -m tests.vectors $(DIR)

scenarios: dev ## replay the recorded scenarios of volumes, list those that don't pass yet; ONLY='static-*' for some
ifneq (,$(filter csi-%,$(ONLY)))
	@$(UP) --sync-period 2s -- $(PY) -m tests.conformance csi --only '$(ONLY)'
else
	@$(UP) --sync-period 2s --enable-hostpath-provisioner -- $(PY) -m tests.conformance scenarios $(if $(ONLY),--only '$(ONLY)')
endif
ifndef ONLY
	@echo "with the controllers as a process of their own, stopped and started:"
	@$(UP) --controllers=namespace,garbagecollector -- $(PY) -m tests.conformance processes --only 'restart-*'
	@echo "with a scheduler:"
	@$(UP) --sync-period 2s --enable-hostpath-provisioner --controllers='*,-ephemeral-volume,-serviceaccount,scheduler' -- \
		$(PY) -m tests.conformance scenarios --have scheduler --only '*-real-scheduler-*'
	@echo "with provisioning switched off:"
	@$(UP) --sync-period 2s --enable-dynamic-provisioning=false -- \
		$(PY) -m tests.conformance scenarios --have no-provisioning --only provision-disabled
	@echo "with a CSI driver and its sidecar:"
	@$(UP) --sync-period 2s -- $(PY) -m tests.conformance csi --only 'csi-*'
endif

apicases: dev ## replay the recorded HTTP cases and kubectl transcripts, list those that don't pass yet; ONLY='watch-*'
	@$(UP) --controllers= -- $(PY) -m tests.conformance http $(if $(ONLY),--only '$(ONLY)')
	@$(UP) --controllers= -- $(PY) -m tests.conformance kubectl $(if $(ONLY),--only '$(ONLY)')

bench: dev ## measure every figure: one JSON line each
	@$(PY) -m bench

soak: dev ## hours of random histories, load and attacks (tests/adversary); SECONDS_LONG=3600
	PVBINDER_SOAK_SECONDS=$(or $(SECONDS_LONG),3600) $(PY) -m pytest -m soak

reference: dev ## write the generated pages anew (docs/reference, the README's output), and the chart's templates
	$(PY) -m tools.deploy
	$(PY) -m tools.reference
	$(PY) -m tools.rules

.venv-docs/ready: requirements-docs.lock
	@rm -rf .venv-docs
	@$(PY) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

docs: dev .venv-docs/ready ## build the documentation as a site, with its pictures: build/site/; SOURCE=https://... for links to code
	@$(PY) -m tools.site $(if $(SOURCE),--source '$(SOURCE)')

dist: dev ## build the wheel and the sdist into dist/, and say how large they are
	@$(PY) -m tools.dist

lock: dev ## resolve the dependencies into requirements.lock and what running needs of it; UPGRADE=1 takes newer versions
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra fast --group dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --extra fast --group run pyproject.toml --output-file requirements-run.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group pyproject.toml:docs --output-file requirements-docs.lock

clean: ## remove what setup, run and the tools made
	rm -rf .venv .venv-docs .setup.lock .cache mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
