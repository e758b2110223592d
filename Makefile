# `make help` lists the targets. Each target runs the set-up first if it is missing.

PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)
VENV := .venv
STAMPS := build/stamps
BIN := $(VENV)/bin

# TESTBED_IMAGE=FILE make setup: take everything from that image; no packages, no root (docs/howto/image.md)
export TESTBED_IMAGE
# TESTBED_IMAGE=none make setup: go back to the programs of this system
IMAGE_FILE := $(if $(TESTBED_IMAGE),$(wildcard $(TESTBED_IMAGE)))
ifneq ($(filter %.xz,$(TESTBED_IMAGE))$(findstring /,$(TESTBED_IMAGE)),)
$(if $(IMAGE_FILE),,$(error TESTBED_IMAGE=$(TESTBED_IMAGE): there is no such file))
endif
FROM_IMAGE := $(if $(filter none,$(TESTBED_IMAGE)),,$(or $(IMAGE_FILE),$(wildcard $(STAMPS)/image)))
READY := $(VENV)/.ready$(if $(FROM_IMAGE),-for-image)

LOCKS := requirements/base.txt requirements/build.txt

# Every variable given on the command line is an option of the experiment:
#   make exp-congestion RATE_MBPS=50 CC=bbr,cubic ECN=yes
#   → testbed run congestion --rate-mbps 50 --cc bbr,cubic --ecn
# Upper case and underscores become lower case and hyphens; yes and no set switches.
lower = $(shell printf '%s' '$(1)' | tr 'A-Z_' 'a-z-')
quoted = '$(subst ','\'',$(1))'
option = $(if $(filter yes on true,$($(1))),--$(call lower,$(1)),\
  $(if $(filter no off false,$($(1))),--no-$(call lower,$(1)),\
  --$(call lower,$(1)) $(call quoted,$($(1)))))
given := $(foreach word,$(MAKEOVERRIDES),$(firstword $(subst =, ,$(word))))
given := $(foreach name,$(given),$(if $(findstring command,$(origin $(name))),$(name)))
OPTIONS = $(foreach name,$(filter-out PYTHON VENV STAMPS BIN IN_VM TESTBED_IMAGE,$(given)),$(call option,$(name)))

.PHONY: help setup test test-cluster test-newest lint lock docs book notebook bench clean distclean
.DEFAULT_GOAL := help

help: ## show this help
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
exp-% sweep-%: ; $(in_vm)
setup test test-cluster test-newest lint lock docs book notebook bench: ; $(in_vm)
extra-%: ; $(in_vm)

else

# An experiment's class names the extra packages it needs; an image contains them.
exp-%: setup ## run an experiment: make exp-congestion RATE_MBPS=50
	@$(if $(FROM_IMAGE),,for extra in $$($(BIN)/python -m testbed.execution.extras $(call quoted,$*)); do \
	  $(MAKE) --no-print-directory "extra-$$extra" || exit 3; done)
	@$(BIN)/testbed run $(call quoted,$*) $(OPTIONS)

# values are lists and ranges: make sweep-congestion RATE_MBPS=1,10,100 SEEDS=1..20
sweep-%: setup ## run an experiment over many values: make sweep-congestion RTT_MS=10,50 SEEDS=1..5
	@$(if $(FROM_IMAGE),,for extra in $$($(BIN)/python -m testbed.execution.extras $(call quoted,$*)) \
	  $(if $(CLUSTER),cluster); do $(MAKE) --no-print-directory "extra-$$extra" || exit 3; done)
	@$(BIN)/testbed sweep $(call quoted,$*) $(OPTIONS)

extra-%: setup $(VENV)/.% ## install extra packages for some experiments: make extra-controllers
	@:

setup: $(READY) $(if $(FROM_IMAGE),$(STAMPS)/image,no-image) ## install what is needed (the other targets do so automatically)

.PHONY: no-image
no-image:
ifeq ($(TESTBED_IMAGE),none)
	@if rm $(STAMPS)/image 2>/dev/null; then $(BIN)/testbed image use none; fi
endif

FRAMEWORKS := $(if $(FROM_IMAGE),,$(STAMPS)/ryu $(VENV)/.browser $(VENV)/.viewer)

test: setup $(VENV)/.dev $(FRAMEWORKS) ## unit tests, and tests of real networks
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

test-cluster: setup $(VENV)/.dev ## test sweeps on a Slurm of this machine (Debian's, on the loopback)
	@scripts/install-packages.sh slurmctld slurmd slurm-client munge
	@$(BIN)/python -m pytest tests/system/test_slurm.py tests/system/test_sweep.py

test-newest: setup $(FRAMEWORKS) ## run the tests with the newest packages in pyproject.toml's ranges
	@scripts/install-newest.sh build/newest
	@build/newest/bin/python -m pytest --numprocesses auto --dist loadgroup

lock: $(VENV)/.dev ## lock the newest Python packages in pyproject.toml's ranges (requirements/)
	@$(BIN)/python scripts/lock.py

lint: setup $(VENV)/.dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m testbed.docs --check
	scripts/lint-viewer.sh

docs: setup $(VENV)/.dev ## build the documentation in build/site, with the latest run of each experiment
	@$(BIN)/python -m testbed.book.site

book: setup $(VENV)/.dev ## run the experiments that changed, then build the documentation (minutes)
	@$(BIN)/python -m testbed.book
	@$(MAKE) --no-print-directory docs

AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)  # Jupyter refuses to run as root otherwise

notebook: setup $(VENV)/.notebook ## open the notebooks on the latest run (Jupyter)
	@$(BIN)/python -m testbed.cli.jupyter $(AS_ROOT)

bench: setup $(VENV)/.dev ## measure what the documentation claims about speed
	@for script in $(filter-out bench/kills.py,$(wildcard bench/*.py)); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

endif

clean: ## remove caches and build files from this folder (keeps runs/ and the set-up)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build/lib* build/temp.* *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## also remove the set-up (the guest kernel stays in your cache folder)
	rm -rf $(VENV) build analysis/packets/_straight*.so

# --- set-up, each step once

KERNEL := testbed/machine/kernel/uml.config $(wildcard testbed/machine/kernel/patches/*.patch)

# straight.c: a library built from an older version is not used
$(READY): pyproject.toml setup.py analysis/packets/straight.c $(LOCKS) \
  scripts/install-python.sh $(if $(FROM_IMAGE),,testbed/machine/packages.txt $(KERNEL))
ifneq ($(FROM_IMAGE),)
	@echo "set-up, step 1 of 2: Python packages in $(VENV) (about a minute)"
	@PYTHON=$(PYTHON) scripts/install-python.sh
else
	@PYTHON=$(PYTHON) scripts/setup.sh
endif
	@touch $@

# Naming a file selects it, whenever it differs from the last one.
ifneq ($(IMAGE_FILE),$(file <$(STAMPS)/image))
.PHONY: $(if $(IMAGE_FILE),$(STAMPS)/image)
endif
$(STAMPS)/image: $(READY) $(IMAGE_FILE)
	@echo "set-up, step 2 of 2: the image"
	@test -z '$(IMAGE_FILE)' || $(BIN)/testbed image import --use '$(IMAGE_FILE)'
	@mkdir -p $(@D) && echo '$(or $(IMAGE_FILE),$(file <$@))' >$@

# an extra of pyproject.toml; .dev is only for tests and documentation
$(VENV)/.%: requirements/%.txt $(READY)
	@echo "set-up: Python packages ($*)"
	@scripts/install-python.sh $*
	@touch $@

# Node.js, and with it the page of `testbed view`, which is kept in the cache folder
VIEWER := $(wildcard viewer/*.js* viewer/.npmrc viewer/src/*)
$(VENV)/.viewer: requirements/viewer.txt $(READY) $(VIEWER)
	@echo "set-up: Python packages (viewer), and the viewer's page"
	@scripts/install-python.sh viewer
	@$(BIN)/python -m testbed.viewer.bundle
	@touch $@

# an extra of Debian packages; an image does not contain it
$(VENV)/.browser: testbed/machine/packages-browser.txt $(READY)
	@echo "set-up: Debian packages (browser, about 300 MB)"
	@scripts/install-packages.sh --extra browser
	@touch $@

# The programs in controller/ run on OS-Ken; the tests run them on Ryu as well.
$(STAMPS)/ryu: scripts/install-ryu.sh requirements/ryu.txt requirements/ryu-build.txt $(READY)
	@echo "set-up for the tests: Ryu (about a minute)"
	@scripts/install-ryu.sh
	@mkdir -p $(@D) && touch $@
