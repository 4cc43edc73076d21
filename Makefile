# Two commands for everybody: `make demo` and `make test`. The rest is for those who work on the code.
.DEFAULT_GOAL := help
.PHONY: help demo test check fix clean deploy-check image-check chaos bench bench-peers bench-store soak
PYTHON ?= python3
PIP = .venv/bin/python -m pip --disable-pip-version-check -q

help:            ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

demo: .venv/.run ## from nothing to a saved image, with a local Runway: no key, no cost
	@.venv/bin/taxiway demo

# Two processes share the chapters (tests/workers.py). Some watch real processes in real time, and a busy machine may stall
# one: what fails is tried once more, and the summary lists it as RERUN. What fails twice has failed.
test: .venv/.dev ## the whole test suite
	.venv/bin/python -m pytest -n 2 --reruns 1

check: .venv/.dev ## lint, types, floors, spelling: what CI asks for beside the tests
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/interrogate -q tests
	.venv/bin/codespell
	.venv/bin/python -m pytest -q tests/test_docs.py tests/test_architecture.py

chaos: .venv/.dev ## kill the service hundreds of times and count what is lost: some three minutes
	.venv/bin/python -m tests.chaos

deploy-check: .venv/.dev ## render, validate and run everything under deploy/ for real
	deploy/tests/run $(TOOLS)

image-check:     ## build the container image and look inside: some three minutes, needs root
	deploy/tests/image

bench: .venv/.dev ## the speed beside the floor's, into README: 13 minutes; RUNS=3: thrice; QUICK=1: three minutes, printed
	.venv/bin/python -m $(if $(RUNS),tests.bench.repeat --runs $(RUNS),tests.bench.run $(if $(QUICK),--quick --name quick))

bench-peers: ## let `make bench` measure LiteLLM's proxy too, in an environment of its own
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check -q install 'litellm[proxy]==1.106.2'

bench-store: .venv/.dev ## how fast SQLite and PostgreSQL commit, in tests/bench/results/store.md
	@mkdir -p tests/bench/results
	.venv/bin/python -m tests.bench.store_throughput | tee tests/bench/results/store.md

soak: .venv/.dev ## half an hour at a thousand jobs: what grows, in tests/bench/results
	$(PIP) install -c constraints.txt --group bench
	.venv/bin/python -m tests.bench.soak

fix: .venv/.dev  ## let ruff mend what it can
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean:           ## forget the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt pip

.venv/.run: .venv/bin/python pyproject.toml constraints.txt
	@echo 'Setting up .venv (once) ...'
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	@echo 'Setting up .venv for development (once) ...'
	$(PIP) install -c constraints.txt -e '.[postgres,s3,otel]' --group dev
	@touch $@
