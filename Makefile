# Seedbed. `make help` says what there is to make.

# Which Python builds the virtual environment, and what pip is told besides. On Linux without a GPU,
# PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" saves gigabytes of CUDA.
PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
LOG := $(VENV)/setup.log

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow check docs bench constraints clean

help: ## Show this.
	@awk -F ': *## *|: .*## *' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## Run a whole study on the built-in model and tasks: two minutes on two cores.
	@$(BIN)/finetune demo

test: $(READY) ## Pass the tests that take seconds.
	@$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(READY) ## Pass the tests that take minutes.
	@$(PYTEST) -m slow $(PYTEST_ARGS)

check: $(READY) ## Check style, types, versions and that the generated docs are up to date.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m mypy
	@$(BIN)/python -m mypy --explicit-package-bases docs/generate.py benchmarks/*.py
	@$(BIN)/python -m pip check
	@$(BIN)/python docs/generate.py --check

docs: $(READY) ## Write the pages of docs/ that are generated.
	@$(BIN)/python docs/generate.py

bench: $(READY) ## Measure each claim of speed.
	@for script in benchmarks/[!_]*.py; do \
		[ -e "$$script" ] || { echo "There are no benchmarks yet."; break; }; \
		echo "── $$script"; $(BIN)/python "$$script" || exit 1; \
	done

constraints: $(READY) ## Write constraints.txt from the versions installed now.
	@{ sed -n '/^#/p' constraints.txt; \
	   $(BIN)/python -m pip freeze --exclude-editable --exclude seedbed | sed 's/+[a-z0-9.]*$$//'; \
	} > $(VENV)/constraints.txt && cp $(VENV)/constraints.txt constraints.txt

clean: ## Remove caches and builds. Your studies and .venv stay.
	@rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The one set-up that all share; made again when what it installs has changed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Seedbed needs Python 3.11 or newer, and $(PYTHON) is not." >&2; \
		echo "Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@printf 'Setting up $(VENV): some minutes the first time '
	@(while sleep 2 >/dev/null 2>&1; do printf .; done) & dots=$$!; \
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) \
		-e '.[dev]' -c constraints.txt > $(LOG) 2>&1; status=$$?; kill $$dots; \
	if [ $$status -ne 0 ]; then \
		echo " failed:"; tail -n 20 $(LOG); echo "The whole log is $(LOG)." >&2; exit $$status; \
	fi; echo " done."
	@touch $@
