# make up      the whole platform on this machine
# make demo    two people pay each other on it
# make help    everything else
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
# tests wait for servers a third of the time
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
TESTS ?=

.PHONY: help environment up demo reset status test test-faults bench lint types imports gas audit documents format lock

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

environment: ## Install everything into .venv, if something has changed
	@deploy/local/bootstrap

up: environment ## Start everything; Ctrl-C stops it and keeps the data
	@exec $(PYTHON) -m snowrail_local up

demo: environment ## Run the demonstration
	@exec $(PYTHON) -m snowrail_local demo

status: environment ## Show processes, memory and health of the running stack
	@$(PYTHON) -m snowrail_local status

reset: environment ## End the stack and forget its data
	@$(PYTHON) -m snowrail_local reset

test: environment ## Run the tests, except for faults and measurements; TESTS=path narrows them
	@deploy/local/browser
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile -m "not faults and not bench" $(TESTS)

test-faults: environment ## Run the tests that kill processes, servers and connections
	@$(BIN)/pytest -q -m faults $(TESTS)

bench: environment ## Measure
	@$(BIN)/pytest -q -s -m bench $(TESTS)

lint: environment ## Check style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: environment ## Check types
	@$(BIN)/pyright

imports: environment ## Check who may import whom
	@$(BIN)/pytest -q tests/architecture

gas: environment ## Measure the gas of the contracts and write its snapshot again
	@SNOWRAIL_GAS_SNAPSHOT=write $(BIN)/pytest -q contracts/evm/tests/test_gas.py

audit: environment ## Audit the contracts: invariants, coverage, slither, halmos
	@$(PYTHON) contracts/evm/audit/cli.py

documents: environment ## Write golden schemas, OpenAPI, AsyncAPI and the list of commands again
	@$(PYTHON) -m snowrail_events.golden
	@$(PYTHON) -m snowrail_kit documents contracts/api \
	    $$($(PYTHON) -c 'from snowrail_delivery.catalogue import SERVICES; print(*(s.package for s in SERVICES))')
	@$(PYTHON) -m snowrail_chat.commands_document

format: environment ## Format the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: environment ## Lock the dependencies again, after deploy/requirements/*.in changed
	@cd deploy/requirements && for name in bootstrap runtime dev audit; do \
	    UV_PYTHON_DOWNLOADS=never ../../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	        --generate-hashes --no-emit-index-url --no-header $$name.in -o $$name.txt || exit 1; \
	done
