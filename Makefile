# One word per command; each sets up what it needs. Needed beforehand: Python 3.11, make, a package index.
#
#   make demo [DB=postgresql]     the Chinook shop, with hooks
#   make demo SERVE=1             the same over HTTP, until Ctrl-C [PORT=0 WORKERS=1 OPEN=0 EMPTY=1]
#   make test [TESTS=...]         every test, on SQLite and PostgreSQL
#   make proof                    the long runs of the proofs: random sequences, and crashes
#   make lint                     ruff, strict mypy, vulture
#   make bench                    the benchmarks
#   make docs                     the site, into site/
#   make clean                    removes all that the above made
#
#   make test SQLALCHEMY=2.0.42   against one SQLAlchemy, in a venv of its own

PYTHON     ?= python3.11
DB         ?= sqlite
SERVE      ?=
PORT       ?=
OPEN       ?=
EMPTY      ?=
TESTS      ?=
WORKERS    ?= 2
PYTEST_ARGS ?=
SQLALCHEMY ?=

VENV := .venv$(if $(SQLALCHEMY),-sa-$(SQLALCHEMY))
RUN  := $(VENV)/bin/python
PIN  := $(if $(SQLALCHEMY),'sqlalchemy==$(SQLALCHEMY)')

# A stamp says which extras the venv holds. A changed pyproject.toml makes every stamp old.
extra = $(VENV)/.with-$(1)

# WORKERS are those of the tests, unless somebody says how many.
SERVED := PORT=$(PORT) OPEN=$(OPEN) EMPTY=$(EMPTY) $(if $(filter file,$(origin WORKERS)),,WORKERS=$(WORKERS))
DEMO   := DB=$(DB) $(if $(SERVE),$(SERVED) $(RUN) examples/chinook/serve.py,$(RUN) examples/chinook/demo.py)

.PHONY: help demo test proof lint bench docs clean

help:
	@sed -n 's/^# \{0,1\}//; /^PYTHON/q; p' Makefile

demo: $(call extra,demo) $(if $(filter postgresql,$(DB)),$(call extra,test))
	$(DEMO)

test: $(call extra,test)
	$(RUN) -m pytest -n $(WORKERS) $(PYTEST_ARGS) $(TESTS)

proof: $(call extra,test)
	HOOKLINE_PROOF=full $(RUN) -m pytest -n $(WORKERS) -o faulthandler_timeout=3600 -rP $(PYTEST_ARGS) tests/sqlalchemy/oracle tests/durable/proof tests/workflow/machine tests/http/test_description.py tests/http/test_filters.py tests/http/test_selection.py

lint: $(call extra,lint)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) .ci/unused.py

bench: $(call extra,bench)
	$(RUN) -m benchmarks

docs: $(call extra,docs)
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

clean:
	rm -rf .venv .venv-* site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.with-%: pyproject.toml $(VENV)/.created
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[$*]' $(PIN)
	@touch $@
