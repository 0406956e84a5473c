# The two commands of the README are `make demo` and `make test`; each sets up all it needs.
PYTHON ?= $(shell command -v python3.12 >/dev/null 2>&1 && python3.12 --version >/dev/null 2>&1 && echo python3.12 || (command -v python3.11 >/dev/null 2>&1 && echo python3.11) || echo python3)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
BASE ?= HEAD~1
export UV_LINK_MODE ?= copy

.PHONY: help install ui demo test check format types breaking lock bench bench-edge bench-stream evaluate soak faults chaos clean new-module

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(VENV)/.installed: requirements/dev.lock pyproject.toml hatch_build.py $(shell find proto -name '*.proto')
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

install: $(VENV)/.installed  ## prepare .venv: locked dependencies and stubs

ui: install  ## build the web application
	@$(BIN)/python hatch_build.py ui

demo: ui  ## run the whole loop on a simulated plant, live in the browser
	$(BIN)/headrace demo

test: ui  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: install  ## lint, types, imports, contracts; under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	@$(MAKE) --no-print-directory breaking

breaking: install  ## contracts against the previous commit (BASE=REV for another)
	@if git rev-parse -q --verify $(BASE):proto >/dev/null 2>&1; then \
	  rm -rf build/previous && mkdir -p build/previous && git archive $(BASE) proto buf.yaml | tar -x -C build/previous \
	  && mkdir -p build/previous/build && cp -r build/googleapis build/previous/build/ \
	  && $(BIN)/buf build build/previous -o build/previous.binpb && $(BIN)/buf build . -o build/current.binpb \
	  && $(BIN)/buf breaking build/current.binpb --against build/previous.binpb \
	  && echo "contracts: nothing broken since $(BASE)"; \
	else echo "contracts: no earlier commit to compare with"; fi

format:  ## rewrite to the house style
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: install  ## solve requirements anew
	$(BIN)/uv pip compile pyproject.toml --extra edge --extra cloud --extra dev --universal --generate-hashes --no-header --python-version 3.11 -o requirements/dev.lock
	$(BIN)/uv pip compile pyproject.toml --extra edge --extra train --universal --generate-hashes --no-header --python-version 3.11 -o requirements/train.lock
	$(BIN)/uv pip compile pyproject.toml --extra edge-legacy --generate-hashes --no-header --python-version 3.11 -o requirements/edge-legacy.lock

bench: install  ## ratios against peers, in one run
	$(BIN)/python -m benchmarks

bench-edge: install  ## the agent: windows a second, share of a core, memory, analytics, Modbus, drain, wear
	@for part in edge analytics modbus drain wear; do $(BIN)/python -m benchmarks.$$part || exit 1; done

bench-stream: install  ## the processor: samples a core, scaling, latency, recovery; about ten minutes
	$(BIN)/python -m benchmarks.stream

evaluate: install  ## detection and prognosis on real data, from HEADRACE_EVAL_DATA; ARGS=--json
	$(BIN)/headrace evaluate all $(ARGS)

soak: install  ## the whole stack for half an hour: memory, files, stores
	$(BIN)/python -m benchmarks.stream.soak --minutes 30

faults: install  ## outages, kills, full disks, clock steps, malformed input, attacks, in full; prints counts
	HEADRACE_FAULTS=full $(BIN)/python -m pytest tests/faults -s -q --timeout 3600

chaos: install  ## kills of every process under load, rescaling, a model of the path, in full; prints a table
	HEADRACE_FAULTS=full $(BIN)/python -m pytest tests/faults/test_chaos.py tests/faults/test_path.py tests/stream_processor/test_rescaling.py -s -q --timeout 3600

new-module: install  ## scaffold an ERP module: make new-module NAME=quality
	$(BIN)/headrace new-module $(NAME)

clean:  ## remove what was derived
	rm -rf $(VENV) build dist cloud_api/web/dist cloud_api/web/node_modules
