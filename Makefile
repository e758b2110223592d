# `make help` lists what there is. Everything sets itself up, once.

PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
STAMPS := build/stamps
BIN := $(VENV)/bin

# TESTBED_IMAGE=FILE make setup: everything from that image, no packages, no root (docs/howto/image.md)
export TESTBED_IMAGE
IMAGE_FILE := $(if $(TESTBED_IMAGE),$(wildcard $(TESTBED_IMAGE)))
ifneq ($(filter %.xz,$(TESTBED_IMAGE))$(findstring /,$(TESTBED_IMAGE)),)
$(if $(IMAGE_FILE),,$(error TESTBED_IMAGE=$(TESTBED_IMAGE): there is no such file))
endif
FROM_IMAGE := $(or $(IMAGE_FILE),$(wildcard $(STAMPS)/image))

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_FAILED = { echo "the Python packages are not installed (see above); if a download broke off," \
  "call the same command again" >&2; exit 3; }

# Every variable given on the command line is an option of the experiment:
#   make exp-congestion RATE_MBPS=50 CC=bbr,cubic ECN=yes
#   → testbed run congestion --rate-mbps 50 --cc bbr,cubic --ecn
# The name's case and underscores are translated; yes and no are for switches.
lower = $(shell printf '%s' '$(1)' | tr 'A-Z_' 'a-z-')
quoted = '$(subst ','\'',$(1))'
option = $(if $(filter yes on true,$($(1))),--$(call lower,$(1)),\
  $(if $(filter no off false,$($(1))),--no-$(call lower,$(1)),\
  --$(call lower,$(1)) $(call quoted,$($(1)))))
given := $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))
given := $(foreach name,$(given),$(if $(findstring command,$(origin $(name))),$(name)))
OPTIONS = $(foreach name,$(filter-out PYTHON VENV STAMPS BIN IN_VM TESTBED_IMAGE,$(given)),$(call option,$(name)))

.PHONY: help setup test lint docs book notebook bench clean distclean
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' Makefile | expand -t 18
	@echo
	@echo "an experiment's options are variables: make exp-congestion RATE_MBPS=50 CC=bbr,cubic"
	@ls -d experiments/*/experiment.py experiments/*.py 2>/dev/null | \
	  sed -n 's,/experiment\.py$$,,; s,\.py$$,,; s,.*/\([a-z][a-z0-9_]*\)$$,  make exp-\1,p'

# Experiments need Debian or an image; elsewhere these targets run in the virtual machine (see
# Vagrantfile).
IN_VM := $(shell test "$$(uname -s)" = Linux && \
  { test -n '$(FROM_IMAGE)' || command -v dpkg >/dev/null; } || echo yes)
ifeq ($(IN_VM),yes)

in_vm = @scripts/in-vm.sh $(call quoted,$@) \
  $(foreach name,$(filter-out IN_VM,$(given)),$(call quoted,$(name)=$($(name))))
exp-%: ; $(in_vm)
setup test lint docs book notebook bench: ; $(in_vm)

else

exp-%: setup ## run an experiment: make exp-congestion RATE_MBPS=50
	@$(BIN)/testbed run $(call quoted,$*) $(OPTIONS)

ifneq ($(FROM_IMAGE),)
NEEDED := $(STAMPS)/image
SYSTEM :=
SITE :=
FRAMEWORKS :=
PYTHON_STEP := 1 of 2
else
NEEDED := $(STAMPS)/kernel
SYSTEM := $(STAMPS)/packages
SITE := --system-site-packages
FRAMEWORKS := $(STAMPS)/ryu
PYTHON_STEP := 2 of 3
endif

setup: $(SYSTEM) $(VENV)/.ready $(NEEDED) ## install what is needed (all others do it by themselves)

test: setup $(VENV)/.dev $(FRAMEWORKS) ## unit, replay and system tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

lint: setup $(VENV)/.dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m testbed.docs --check

docs: setup $(VENV)/.dev ## build the documentation in build/site, with the experiments' latest runs
	@$(BIN)/python -m testbed.book.site

book: setup $(VENV)/.dev ## the same, once every experiment has a run of its present file (minutes)
	@$(BIN)/python -m testbed.book
	@$(MAKE) --no-print-directory docs

AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)  # Jupyter refuses otherwise

notebook: setup ## open the notebooks on the latest run (Jupyter)
	@$(PIP) -e ".[notebook]" || $(PIP_FAILED)
	@$(BIN)/python -m testbed.cli.jupyter $(AS_ROOT)

bench: setup $(VENV)/.dev ## measure what the documentation claims about speed
	@for script in $(filter-out bench/kills.py,$(wildcard bench/*.py)); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

endif

clean: ## remove what runs, tests and tools left in this folder (not runs/, not the set-up)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build/lib* build/temp.* *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the set-up too (the guest kernel stays in your cache folder)
	rm -rf $(VENV) build analysis/packets/_straight*.so

# --- set-up, each step once

$(STAMPS)/packages: testbed/machine/packages.txt scripts/install-packages.sh
	@echo "set-up, step 1 of 3: Debian packages (minutes the first time)"
	@scripts/install-packages.sh
	@mkdir -p $(@D) && touch $@

# straight.c: what was built from an older one is not used
$(VENV)/.ready: pyproject.toml setup.py analysis/packets/straight.c $(SYSTEM)
	@echo "set-up, step $(PYTHON_STEP): Python packages in $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(SITE) $(VENV) || { echo "this Python cannot make virtual environments:" \
	  "on Debian that is the package python3-venv" >&2; exit 3; }
	@$(PIP) -e . || $(PIP_FAILED)
	@touch $@

# what only tests and documentation need
$(VENV)/.dev: $(VENV)/.ready
	@echo "set-up for developers: Python packages (about two minutes)"
	@$(PIP) -e '.[dev]' || $(PIP_FAILED)
	@touch $@

$(STAMPS)/image: $(VENV)/.ready $(IMAGE_FILE)
	@echo "set-up, step 2 of 2: the image"
	@test -z '$(IMAGE_FILE)' || $(BIN)/testbed image import '$(IMAGE_FILE)'
	@mkdir -p $(@D) && touch $@

$(STAMPS)/kernel: testbed/machine/kernel/uml.config $(wildcard testbed/machine/kernel/patches/*.patch) $(STAMPS)/packages
	@echo "set-up, step 3 of 3: the guest kernel (about ten minutes, once)"
	@scripts/guest-kernel.sh
	@mkdir -p $(@D) && touch $@

# controller/'s programs run on OS-Ken; the tests run them on Ryu, too
$(STAMPS)/ryu: scripts/install-ryu.sh $(VENV)/.ready
	@echo "set-up for the tests: Ryu (about a minute)"
	@scripts/install-ryu.sh
	@mkdir -p $(@D) && touch $@
