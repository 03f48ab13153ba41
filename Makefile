# One word per job; `make` alone lists them. Everything runs in .venv, which `.ci/setup` makes and keeps current.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := $(CURDIR)/.venv/bin
DEMO := $(CURDIR)/.demo
# Stages of the demo call `python`; the packages they use are in .venv.
export PATH := $(BIN):$(PATH)
export PYTHONUNBUFFERED := 1
# Two workers: the suite waits more than it computes, and is measured on machines with two cores.
WORKERS ?= 2
SEED ?=

.PHONY: help setup ui ui-types ui-dev bench-ui demo demo-ask test check docs bench chaos up lock clean

help: ## list the jobs
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

setup: ## make .venv ready (quick when nothing changed)
	@bash .ci/setup

demo: setup ## a street video becomes tracks, counts, a heat map and a report; the question is answered by itself
	@$(BIN)/python pipelines/traffic/get_clip.py $(DEMO)/bikes.mp4
	@WINSLOW_HOME=$(DEMO)/home winslow run pipelines/traffic --name "street demo" --input $(DEMO)/bikes.mp4 --yes

demo-ask: setup ## the same, and you are asked in between
	@$(BIN)/python pipelines/traffic/get_clip.py $(DEMO)/bikes.mp4
	@WINSLOW_HOME=$(DEMO)/home winslow run pipelines/traffic --name "street demo" --input $(DEMO)/bikes.mp4

ui: setup ## build the web UI into the package (quick when nothing changed)
	@bash .ci/ui

ui-types: setup ## what the web UI knows of the REST API, drawn anew from it
	@$(BIN)/python docs/make_openapi.py ui/openapi.json
	@cd ui && npm run --silent schema && rm openapi.json

ui-dev: setup ## work on the web UI: it reloads by itself; WINSLOW_URL names the server behind it
	@cd ui && npm run dev

test: setup ui ## the test suite
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q

check: setup ## style, types, layers, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_diagrams.py --check
	$(BIN)/python docs/make_errors.py --check

docs: setup ## draw and list anew what the pages take from the source
	@$(BIN)/python docs/make_diagrams.py
	@$(BIN)/python docs/make_errors.py

bench: setup ## measurements, each with its yardstick
	@$(BIN)/python -m bench

bench-ui: setup ui ## what the web UI weighs and how quick it is, beside what is wanted
	@cd ui && npm run --silent bench

chaos: setup ## long kill and fault tests; SEED=... repeats a run
	@WINSLOW_CHAOS_SEED=$(SEED) $(BIN)/python -m pytest -m chaos -s -q

up: setup ui ## run everything on this machine in the foreground
	@winslow up

lock: setup ## work out requirements.lock anew
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	@uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url \
	  --no-header --quiet --output-file requirements.lock

clean: ## remove the demo's data and what tools left behind (not .venv)
	@rm -rf .demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	@find winslow_nomad tests pipelines bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
