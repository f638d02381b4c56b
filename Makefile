# `make run` sets up and does the main job; `make test` sets up and runs the tests. `make` lists the rest.
#
# Everything is installed into .venv. Only where root runs it on a system with apt-get are system packages
# added (tools/system_packages.sh). Choose the interpreter with PYTHON=..., and pass options on with ARGS=...

PYTHON ?= python3
JOBS ?= $(shell nproc)
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
TORCH_STAMP := $(VENV)/.stamp-torch
INTEROP_STAMP := $(VENV)/.stamp-interop

# Deferred on purpose: set-up may have added Icarus by the time a recipe asks.
SPINBNN_SIMULATORS ?= verilator$(if $(shell command -v iverilog 2>/dev/null), icarus)
# Some tests take a thousand times as long as others: workers that are done take from those that are not.
PYTEST = SPINBNN_SIMULATORS="$(SPINBNN_SIMULATORS)" $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test test-long test-train test-interop mutants lint verilog waves bench scale cost studies-doc train study lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install into .venv what requirements.lock pins (the other targets do it when it is stale)

run: setup ## the main job: generate, program with write errors, stream real images, compare with golden
	$(BIN)/spinbnn run $(ARGS)

test: setup ## the tests, on Verilator and Icarus; JUnit XML in build/junit.xml
	$(warn_without_icarus)
	$(PYTEST) --junitxml=build/junit.xml $(ARGS)

test-long: setup ## the tests that take minutes; JUnit XML in build/junit-long.xml
	$(warn_without_icarus)
	$(get_browser)
	$(PYTEST) -m "long and not train and not interop" --junitxml=build/junit-long.xml $(ARGS)

test-train: $(TORCH_STAMP) ## the tests that need PyTorch; JUnit XML in build/junit-train.xml
	$(PYTEST) -m train --junitxml=build/junit-train.xml $(ARGS)

test-interop: $(INTEROP_STAMP) ## the tests that need Brevitas and qonnx; JUnit XML in build/junit-interop.xml
	$(PYTEST) -m interop --junitxml=build/junit-interop.xml $(ARGS)

mutants: setup ## break the hardware on purpose, fault by fault: the tests must notice each
	$(BIN)/python -m tests.mutants $(ARGS)

lint: setup ## ruff, mypy, and Verilator -Wall and Yosys check on the emitted Verilog
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/lint_verilog.py

verilog: setup ## the Verilog of the default geometry, with its manifest, in build/verilog
	$(BIN)/spinbnn generate -o build/verilog $(ARGS)

waves: setup ## two images, put in without programming, with their waveform in build/waves/run.fst
	$(BIN)/spinbnn run --images 2 --backdoor --waves build/waves/run.fst $(ARGS)

bench: setup ## measure the numbers the README quotes
	$(BIN)/python -m bench $(ARGS)

scale: setup ## how cost grows with machine, network and images: writes docs/scale.md (some 5 minutes)
	$(BIN)/python -m bench.scale

cost: setup ## what each option costs in logic: writes docs/option_cost.md (Yosys; some 20 minutes)
	$(BIN)/python tools/option_cost.py

studies-doc: setup ## write docs/studies.md and its figures from the results in docs/results
	$(BIN)/python tools/study_documents.py

train: $(TORCH_STAMP) ## train the shipped network anew (PyTorch, CPU)
	$(BIN)/spinbnn train $(ARGS)

study: $(TORCH_STAMP) ## repeat an experiment: make study NAME=weight-errors ARGS="--quick" (without NAME: which there are)
	$(BIN)/spinbnn study $(or $(NAME),--list) $(ARGS)

lock: ## resolve requirements.lock anew (needs uv)
	$(call need,uv,uv (pip install uv))
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --fork-strategy fewest \
	    --upgrade --generate-hashes --no-emit-index-url --quiet --output-file requirements.lock \
	    --custom-compile-command 'make lock (PyTorch is not here: its CPU and CUDA builds differ; `make train` adds it)'

clean: ## remove all that was made, except .venv
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml tools/system_packages.sh
	$(check_prerequisites)
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	sh tools/system_packages.sh $(BIN)/python
	touch $@

$(TORCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[train]'
	touch $@

$(INTEROP_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[interop]'
	touch $@

# $(call need,PROGRAM,CURE) stops in one line when PROGRAM is missing. (A comma would end the text.)
need = $(if $(shell command -v $(1) 2>/dev/null),,$(error spinbnn needs $(1): install $(2)))

# $(call need_python,CODE,TEXT) stops in one line, saying TEXT, when the interpreter cannot run CODE.
need_python = $(if $(shell $(PYTHON) -c '$(1)' 2>/dev/null && echo yes),,$(error spinbnn needs $(2)))

define check_prerequisites
$(call need,$(PYTHON),Python 3.11 or newer (Debian: apt-get install python3) or name it with PYTHON=...)
$(call need_python,import sys; assert sys.version_info >= (3, 11),Python 3.11 or newer: $(PYTHON) is older; name another with PYTHON=...)
$(call need_python,import venv; import ensurepip,the venv module of $(PYTHON) (Debian: apt-get install python3-venv))
$(call need,g++,g++ (Debian: apt-get install g++))
$(call need,make,GNU make under the name make (Debian: apt-get install make))
$(call need,perl,perl (Debian: apt-get install perl))
$(call need,git,git (Debian: apt-get install git))
endef

# Pages are looked at in Chromium. Without one the tests fail, unless SPINBNN_BROWSER=none leaves them out.
get_browser = $(if $(filter none,$(SPINBNN_BROWSER)),\
    @echo "WARNING: the browser's tests are left out (SPINBNN_BROWSER=none)" >&2,\
    $(if $(SPINBNN_BROWSER),,@sh tools/system_packages.sh $(BIN)/python browser))

warn_without_icarus = $(if $(filter icarus,$(SPINBNN_SIMULATORS)),,\
    @echo "WARNING: the Icarus tests are left out (SPINBNN_SIMULATORS=$(SPINBNN_SIMULATORS)): install iverilog to run them" >&2)
