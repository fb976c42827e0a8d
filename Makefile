# Everything starts here: `make book` and `make test` need only Python 3.11 or 3.12 and make.
# Only relative names are used, and tools run as `python -m`, so the folder may have spaces in its name.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env book test lint clean distclean serve

UV_VERSION := 0.13.8
PY := .venv/bin/python
PYTEST_ARGS ?=
PORT ?= 8000

# The environment is remade when the lock, the project's metadata or the folder changes; the folder counts because the
# environment holds its path. `cksum` is the one checksum that every POSIX system has.
ENV_KEY := $(shell { cat requirements.lock pyproject.toml Makefile; pwd; } | cksum | cut -d' ' -f1)
ENV_STAMP := .venv/.made-$(ENV_KEY)

# Executed notebooks are kept until the library, the data or the lock changes; then every chapter runs again.
LIBRARY := $(shell find codec_lib data -type f ! -name '*.pyc' ! -name '.*' 2>/dev/null | LC_ALL=C sort | tr ' ' '?')
PAGES := $(shell find book chapters README.md CHANGELOG.md -type f ! -path '*/.*' ! -path 'book/generated/*' ! -path 'book/vendor/*' ! -name '*.pyc' 2>/dev/null | tr ' ' '?')
BOOK := _build/html/.made

help: ## list what can be made
	@echo "Diffusion Video Codecs, Built by Hand"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

env: $(ENV_STAMP) ## make the environment in .venv
	@echo "== environment ready: source .venv/bin/activate"

# uv takes itself away from an environment that it made, so one of those is made anew.
$(ENV_STAMP):
	@echo "== environment: .venv, the exact versions of requirements.lock"
	@python=$$(tools/find_python); \
	if ! [ -x $(PY) ] || ! $(PY) -c 'import sys' 2>/dev/null || grep -qs '^uv = ' .venv/pyvenv.cfg; then \
		echo "   new virtual environment with $$python"; "$$python" -m venv --clear .venv; fi
	@if ! $(PY) -m uv --version 2>/dev/null | grep -qF "uv $(UV_VERSION)"; then \
		echo "   installing uv $(UV_VERSION), the installer"; \
		$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null; \
		$(PY) -m pip install -q --disable-pip-version-check "uv==$(UV_VERSION)"; fi
	@$(PY) -m uv pip sync --python $(PY) --require-hashes requirements.lock
	@$(PY) -m uv pip install --python $(PY) --no-deps --no-build-isolation -q -e .
	@rm -f .venv/.made-*; touch $@

book: $(BOOK) ## build the executed book
	@echo "== the book is ready: open _build/html/index.html in a browser, or run 'make serve'"

$(BOOK): $(ENV_STAMP) $(LIBRARY) $(PAGES)
	@echo "== book: assets, chapters run from the first cell to the last, pages"
	@tools/build_book

test: $(ENV_STAMP) ## run every test: units, streams, then all chapters cell by cell
	@echo "== tests of the library, the streams and the ledger"
	@$(PY) -m pytest tests $(PYTEST_ARGS)
	@echo "== chapters: every saved output against a fresh run"
	@$(PY) -m pytest --nbval --nbval-current-env --nbval-sanitize-with book/nbval.cfg chapters $(PYTEST_ARGS)

lint: $(ENV_STAMP) ## check style
	@$(PY) -m ruff check .

serve: book ## build the book and serve it on http://localhost:8000
	@echo "== http://localhost:$(PORT) (Ctrl-C ends)"
	@$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

clean: ## remove the built book and caches
	rm -rf _build .pytest_cache .ruff_cache
	find codec_lib tests chapters book -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove the environment as well
	rm -rf .venv *.egg-info
