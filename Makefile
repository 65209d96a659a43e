# Every target sets up what it needs: `make run` and `make test` work on a fresh machine with Python 3.11 or newer, gcc and make.
# PYTHON=python3.13 chooses an interpreter, VENV=folder where its virtual environment stands.

PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
SECONDS ?= 60
INPUTS ?= 1000000
HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=

# The stamps carry the interpreter's version: another PYTHON makes the environment anew.
VERSION := $(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo none)
PLUGINS := $(sort $(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml $(PLUGINS)
EDITABLE := -e '.[speedups]' $(patsubst %/pyproject.toml,-e %,$(PLUGINS))
# What has a compiled part: kernel/_fast.pyx, plugins/x/corelet_x/_fast.pyx.
SOURCES := $(wildcard kernel/*.pyx kernel/*.pxd plugins/*/corelet_*/*.pyx plugins/*/corelet_*/*.pxd)
COMPILED := $(patsubst %.pyx,%,$(filter %.pyx,$(SOURCES)))
COMPILED_PLUGINS := $(sort $(foreach part,$(filter plugins/%,$(COMPILED)),plugins/$(word 2,$(subst /, ,$(part)))))
BIN := $(VENV)/bin
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet
BASE := $(VENV)/.installed-$(VERSION)
WIRE := $(VENV)/.built-wire-$(VERSION)
DEV := $(VENV)/.installed-dev-$(VERSION)
EXAMPLES := $(VENV)/.installed-examples-$(VERSION)
PACKAGES := $(VENV)/.installed-packages-$(VERSION)
COVERAGE := $(BIN)/coverage

# Benchmarks are promised on 3.13; without one, on PYTHON.
BENCH_PYTHON ?= $(firstword $(foreach candidate,python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13.*/bin/python),\
	$(if $(shell $(candidate) -c 'print(1)' 2>/dev/null),$(candidate))) $(PYTHON))

.PHONY: help run test setup forget-coverage test-fast test-pure test-again coverage bench micro lint lint-style lint-types lint-floors lint-fragments format pages plots docs packages autobahn fuzz changelog clean
.DELETE_ON_ERROR:
.NOTPARALLEL:

help:
	@echo 'make run     serve the demo, a chat, on http://$(HOST):$(PORT)/ (REDIS_URL=redis://... for several processes)'
	@echo 'make test    run every test: the accelerated wire on uvloop, the plain one on asyncio, with coverage'
	@echo 'make bench   measure against the peers, and draw plots (ARGS="--quick", ARGS=--keep);  make plots  draws the kept run'
	@echo 'make micro   measure single steps: parser, serialiser, router, a request without sockets'
	@echo 'make lint    ruff, mypy, import-linter, changelog fragments;  make format  lets ruff mend what it can'
	@echo 'make docs    build the documentation into docs/_build/html;  make pages  writes what is made of docstrings and help'
	@echo 'make packages  build every distribution, try them in fresh environments of every interpreter (ARGS=--quick)'
	@echo 'make autobahn  run the Autobahn TestSuite against both sides of a WebSocket (ARGS=--quick; needs Python 2.7)'
	@echo 'make fuzz    fuzz the parsers and compare the two wires (SECONDS=60 INPUTS=1000000, ARGS=--sanitize)'

run: $(BASE) $(WIRE) $(if $(REDIS_URL),$(EXAMPLES))
	@HOST=$(HOST) PORT=$(PORT) $(BIN)/python -m examples.chat

# Tests wait more than they compute: both runs go at once, and the second one's output stands below the first one's.
test: setup forget-coverage
	@$(MAKE) --no-print-directory test-pure >$(VENV)/test-pure.log 2>&1 & \
	$(MAKE) --no-print-directory test-fast ARGS='$(ARGS) $(PLAIN_ONCE)'; fast=$$?; \
	wait $$!; pure=$$?; cat $(VENV)/test-pure.log; exit $$((fast || pure))
	@$(MAKE) --no-print-directory coverage

setup: $(DEV) $(WIRE)

forget-coverage:
	@rm -f .coverage .coverage.*

test-fast: $(DEV) $(WIRE)
	@for program in chromium curl memcached nginx redis-server; do command -v $$program >/dev/null || \
		{ echo "The tests need $$program: apt-get install $$program" >&2; exit 1; }; done
	@$(BIN)/python -c 'from corelet import wire; print("the wire:", wire.IMPLEMENTATION)'
	CORELET_TEST_LOOP=uvloop $(BIN)/python -m pytest $(ARGS)

# Once is enough. On the accelerated wire: tests of distributions take their own kernel, and whether people see the right
# page, a session keeps its data, or a stranger's plugin works, does not depend on the wire. On the plain one: tests of
# the wire itself take both wires in every run, and the command line only starts what others test.
FAST_ONCE := $(addprefix --ignore=tests/,benchmarks distributions examples packaging plugins sessions testing)
PLAIN_ONCE := --ignore-glob='*/test_wire_*' --ignore=tests/kernel/test_cli.py --ignore=tests/kernel/test_facade.py

# Counting coverage costs two thirds more: only here, where every line of the kernel has its plain twin.
test-pure: $(DEV) $(WIRE)
	CORELET_NO_EXTENSIONS=1 CORELET_TEST_LOOP=asyncio $(COVERAGE) run -m pytest $(FAST_ONCE) $(ARGS)

# Another interpreter changes how handlers run and what is compiled; what stands above the kernel has been tested.
test-again: ARGS += $(FAST_ONCE) $(PLAIN_ONCE)
test-again: test-fast

coverage: $(DEV)
	@$(COVERAGE) combine --quiet
	$(COVERAGE) report --include='plugins/*'
	$(COVERAGE) report --include='kernel/*' --fail-under=97

bench:
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) PYTHON=$(BENCH_PYTHON) ARGS='$(ARGS)' bench-here

micro:
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) PYTHON=$(BENCH_PYTHON) ARGS='$(ARGS)' micro-here

plots:
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) PYTHON=$(BENCH_PYTHON) plots-here

.PHONY: bench-here micro-here plots-here
plots-here: $(VENV)/.installed-bench-$(VERSION)
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.pages

bench-here: $(VENV)/.installed-bench-$(VERSION) $(WIRE)
	@command -v wrk >/dev/null || { echo 'The benchmarks need wrk: apt-get install wrk' >&2; exit 1; }
	$(BIN)/python -m benchmarks.run $(ARGS)

micro-here: $(VENV)/.installed-bench-$(VERSION) $(WIRE)
	$(BIN)/python -m benchmarks.micro $(ARGS)

# make -k lint tells everything that is wrong, not the first thing
lint: lint-style lint-types lint-floors lint-fragments

lint-style: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint-types: $(DEV)
	$(BIN)/mypy -p corelet $(PLUGINS:plugins/%/pyproject.toml=-p corelet_%) -p corelet_ratelimit -p benchmarks
	$(BIN)/mypy --exclude '^docs/ratelimit/' examples docs

lint-floors: $(DEV) $(WIRE)
	$(BIN)/lint-imports

lint-fragments: $(DEV)
	$(BIN)/towncrier build --draft --version next >/dev/null

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

pages: $(DEV) $(WIRE)
	$(BIN)/python -m docs.pages

docs: $(DEV)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo 'docs/_build/html/index.html'

packages: $(DEV) $(PACKAGES)
	$(BIN)/python -m tests.packaging.matrix $(ARGS)

autobahn: $(DEV) $(WIRE)
	$(BIN)/python tests/autobahn/run.py $(ARGS)

fuzz: $(DEV) $(WIRE)
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(ARGS)
	$(BIN)/python tests/fuzz/differential.py --inputs $(INPUTS)

changelog: $(DEV)
	$(BIN)/towncrier build --draft --version next

clean:
	rm -rf .venv .venv-* build plugins/*/build examples/plugins/*/build docs/_build .coverage .coverage.* kernel/*.c kernel/*.so plugins/*/corelet_*/*.c plugins/*/corelet_*/*.so *.egg-info plugins/*/*.egg-info examples/plugins/*/*.egg-info

DROP_WIRE = suffix=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))'); \
	for part in $(COMPILED); do rm -f $$part.c $$part$$suffix; done
CHECK_WIRE = for part in $(subst /,.,$(patsubst kernel/%,corelet/%,$(foreach part,$(COMPILED),$(patsubst plugins/$(word 2,$(subst /, ,$(part)))/%,%,$(part))))); do \
	$(BIN)/python -c "import $$part" 2>/dev/null || \
	echo "Note: $$part was not built, its plain twin serves (apt-get install gcc python3-dev, then make clean)." >&2; done

$(BASE): $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'corelet needs Python 3.11 or newer; $(PYTHON) has version: $(VERSION). Choose another: make PYTHON=python3.13 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo '$(PYTHON) cannot make a virtual environment: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --upgrade pip
	@$(DROP_WIRE)
	$(INSTALL) $(EDITABLE)
	@$(CHECK_WIRE)
	@touch $@ $(WIRE)

# A wire built by another interpreter or from an older source is never trusted: it is built again.
$(WIRE): $(SOURCES) | $(BASE)
	@$(DROP_WIRE)
	$(INSTALL) --no-deps -e . $(addprefix -e ,$(COMPILED_PLUGINS))
	@$(CHECK_WIRE)
	@touch $@

$(DEV): $(BASE)
	$(INSTALL) --group dev
	@touch $@

$(EXAMPLES): $(BASE)
	$(INSTALL) --group examples
	@touch $@

$(PACKAGES): $(BASE)
	$(INSTALL) --group packages
	@touch $@

$(VENV)/.installed-bench-$(VERSION): $(BASE)
	$(INSTALL) --group bench
	@touch $@
