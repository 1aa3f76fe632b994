# The only entry points; continuous integration uses the same ones.
#   make demo    set up .venv and ask the embedded model about a document
#   make test    set up .venv and run the tests
#   make test-hf the tests of kimi_vl.hf, in a .venv-hf of their own with transformers and peft
#   make check   format, lint, types
#   make bench   the benchmarks that need no GPU

PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin
PIP := $(RUN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-gpu test-hf check bench

demo: $(VENV)/.base
	$(RUN)/kimi-vl ask examples/receipt.png "What do the rye bread and the cheddar cost together?"

test: $(VENV)/.test
	$(RUN)/python -m pytest -n 2 --dist loadfile

test-gpu: $(VENV)/.test
	$(RUN)/python -m pytest -m gpu

# Another release: make test-hf HF_VENV=.venv-hf-oldest TRANSFORMERS=transformers==5.17.0
HF_VENV := .venv-hf
TRANSFORMERS ?= $(shell grep '^transformers==' constraints.txt)

test-hf: $(HF_VENV)/.test
	$(HF_VENV)/bin/python -m pytest -m hf tests/hf

$(HF_VENV)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(HF_VENV)
	$(HF_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	grep -qx '$(TRANSFORMERS)' constraints.txt && cp constraints.txt $(HF_VENV)/constraints.txt \
		|| grep -vE '^(transformers|tokenizers|huggingface_hub)==' constraints.txt > $(HF_VENV)/constraints.txt
	$(HF_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(HF_VENV)/constraints.txt --editable . \
		$(TRANSFORMERS) peft accelerate safetensors pytest hypothesis jsonschema
	@touch $@

check: $(VENV)/.test
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: $(VENV)/.test
	$(RUN)/python benchmarks/bench_nano.py
	$(RUN)/python benchmarks/bench_reading.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "kimi-vl needs Python 3.11 or 3.12; neither python3, python3.12 nor python3.11 is one. Set PYTHON=/path/to/python." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# Everything but torch is checked against the hashes in requirements/ (tools/lock.sh writes them); torch's right build depends on the machine.
$(VENV)/.base: pyproject.toml constraints.txt requirements/base.lock | $(VENV)/bin/python
	$(PIP) --require-hashes --requirement requirements/base.lock
	$(PIP) --constraint constraints.txt torch
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.base requirements/dev.lock
	$(PIP) --require-hashes --requirement requirements/dev.lock
	@touch $@
