# Every command a person needs. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# A configuration of your own. Without one, `make run` uses nginx/demo.yaml and the bundled mock model server.
CONFIG ?=
HTTP_PORT ?= 8080
# A self-signed certificate is made on the first run.
HTTPS_PORT ?= 8443
# The address of these two. If empty: all addresses, but 127.0.0.1 for the demonstration, whose key everybody knows.
LISTEN ?=
# Bound to 127.0.0.1.
ADMIN_PORT ?= 9145
# Everything that a run writes: pid, logs, state, temporary files.
RUN_DIR ?= .run
# How many nginx workers; as many as there are cores if empty.
WORKERS ?=
# Any nginx with the Lua module, such as /usr/local/openresty/nginx/sbin/nginx.
NGINX ?= nginx

export CONFIG HTTP_PORT HTTPS_PORT LISTEN ADMIN_PORT RUN_DIR WORKERS NGINX

.PHONY: help run test test-clients bench fuzz fuzz-cost check build schema dist

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 21
	@echo
	@echo 'Variables of make run: CONFIG HTTP_PORT HTTPS_PORT LISTEN ADMIN_PORT RUN_DIR WORKERS NGINX'
	@echo 'Variables of make fuzz and make fuzz-cost: SECONDS SEED'

run: ## Install what is missing, build, check the configuration, run in the foreground
	@tools/install
	@tools/build
	@tools/run

test: ## Run every test: the checks, unit and end-to-end
	@tools/install --test
	@tools/build
	@tools/check
	@tools/test

test-clients: ## Claude Code, Codex and the SDKs for Node through a gateway; installs them below dist
	@tools/install --test
	@tools/build
	@tools/test_clients

bench: ## Measure against plain nginx and another gateway, and print the tables
	@tools/install --test
	@tools/build
	@bench/run

fuzz: ## Run the tests of random inputs for SECONDS (60), from SEED (1) on
	@tools/install --test
	@tools/build
	@node tools/run_specs.mjs --seconds $(or $(SECONDS),60) $(addprefix --seed ,$(SEED))

fuzz-cost: ## Look for the text that costs the most time a byte, for SECONDS (60), from SEED on
	@tools/install --build
	@tools/build
	@luajit spec/cost/fuzz.lua --seconds $(or $(SECONDS),60) $(addprefix --seed ,$(SEED))

check: ## Types, lint, house rules
	@tools/install --test
	@tools/build
	@tools/check

build: ## Compile src to dist/lua, if anything changed
	@tools/install --build
	@tools/build

schema: ## Write nginx/sluice.schema.json, for editors
	@tools/install
	@tools/build
	@tools/schema

dist: ## Pack what an edge server needs into dist/sluice-VERSION.tar.gz
	@tools/install
	@tools/build
	@tools/dist
