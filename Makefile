# The words to know: demo, test, check, format, docs, build.
#
# Everything lives in .venv, made on first use with the first Python found that is new enough;
# `make PYTHON=python3.12 demo` names one. Nothing is installed twice: a file in .venv remembers
# what was installed, and pyproject.toml being newer is the only reason to do it again.

PYTHON ?=
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test check format docs build clean
.DELETE_ON_ERROR:

help:
	@echo "make demo     train a driver from scratch, prove it, show it: minutes"
	@echo "make test     install the test extras and run the whole suite"
	@echo "make check    style, types and import floors only"
	@echo "make format   put the code into its one style"
	@echo "make docs     build the documentation into docs/_build"
	@echo "make build    build the wheel and the source archive into dist"
	@echo "make clean    remove .venv and everything built"

demo: $(VENV)/.has-base
	$(BIN)/gigalane demo

# Tests first: a slip of style must not hide what they say.
test: $(VENV)/.has-test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
	$(MAKE) --no-print-directory check

check: $(VENV)/.has-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright

format: $(VENV)/.has-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.has-docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going docs docs/_build
	@echo "open docs/_build/index.html"

build: $(VENV)/.has-release
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build docs/_build .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.has-base: pyproject.toml | $(BIN)/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.has-%: pyproject.toml | $(BIN)/python
	$(PIP) install --editable ".[$*]"
	@touch $(VENV)/.has-base $@

$(BIN)/python:
	@for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if "$$candidate" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
	    echo "$$candidate -m venv $(VENV)"; \
	    "$$candidate" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); echo "make: $$candidate cannot make a virtual environment; install its venv module" >&2; exit 1; \
	  fi; \
	done; \
	echo "make: Python 3.11 or newer is needed; install it, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
