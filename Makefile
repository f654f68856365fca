# The commands of the project; CI runs exactly these. `make help` lists them.
SHELL := /bin/bash
BIN := .venv/bin
# Where it is set, each of our many processes compiles every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up down test integration check docs bench fuzz audit sbom clean bootstrap

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 14

# `exec`: the command takes the place of the recipe's shell, so Ctrl-C and its status pass through.
demo: bootstrap ## A router goes live through all five stages; FAULT=latency|errors|reward|queue breaks it
	@exec $(BIN)/sluice demo $(if $(FAULT),--fault $(FAULT))

up: bootstrap ## Start the embedded servers (Temporal, Redis, Postgres, graph, vectors, Prometheus)
	@exec $(BIN)/sluice up

down: ## Stop what `make up` started
	@exec $(BIN)/sluice down

test: bootstrap ## Every test, real servers included, and the limit of coverage; or the tests of ARGS
	@exec $(BIN)/pytest -n 4 --dist loadfile $(or $(ARGS),--coverage-gate)

integration: bootstrap ## Only the tests on real servers
	@exec $(BIN)/pytest -n 4 --dist loadfile -m integration $(ARGS)

check: bootstrap ## Format, lint, types, import rules, spelling, pyproject.toml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml

docs: ## The docs site into site/
	@uv=$$(command -v uv || echo .uv/bin/uv); \
	UV_PROJECT_ENVIRONMENT=.venv-docs $$uv sync --locked --quiet --only-group docs
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet

fuzz: bootstrap ## Hostile bodies to every HTTP interface for SECONDS each (60)
	@SLUICE_FUZZ_SECONDS=$(or $(SECONDS),60) exec $(BIN)/pytest -q -k breaks tests/integration/router/test_http_service.py \
		tests/integration/flags/test_flags_server.py tests/integration/console/test_security.py

audit: ## Known vulnerabilities of the packages in uv.lock, from PyPI's advisories
	@uv=$$(command -v uv || echo .uv/bin/uv); python3 ops/audit.py $$uv

sbom: ## The bill of materials (CycloneDX) of the packages in uv.lock: dist/sbom.json
	@uv=$$(command -v uv || echo .uv/bin/uv); mkdir -p dist; \
	$$uv export --quiet --locked --all-extras --no-dev --format cyclonedx1.5 --output-file dist/sbom.json >/dev/null

bench: bootstrap ## Each benchmark alone, one after the other
	@set -e; shopt -s nullglob; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

bootstrap:
	@ops/bootstrap

clean: ## Remove caches and what bootstrap installed here; data in .sluice stays
	rm -rf .venv .venv-docs .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist site
