# Two commands set everything up on a fresh machine with Python 3.11 or later:
#   make demo   install, simulate a plate with known truth, process it, print the readouts, write the report
#   make test   install with the development tools and run the tests
# And one makes the shipped weights again (about five hours on two cores; goes on where it was stopped):
#   make weights DATA=../shared/data/nuclei
# `make lint` checks style and types, `make docs` builds the site into site/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

DATA := ../shared/data/nuclei

.PHONY: demo test lint docs weights install dev clean

demo: install
	$(BIN)/hcs demo --out demo-out

# One thread a process: two processes with two threads each on two cores would wait for each other.
test: dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file mypy-tests.ini

docs: dev
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

weights: install
	$(BIN)/hcs train $(DATA) --config configs/train/fast-base.yaml --out runs/fast-base --name fast-base
	$(BIN)/hcs train $(DATA) --config configs/train/wide.yaml --out runs/wide --name wide
	$(BIN)/hcs train $(DATA) --config configs/train/slim.yaml --out runs/slim --name slim
	$(BIN)/hcs train $(DATA) --config configs/train/stained.yaml --out runs/stained --name stained
	$(BIN)/hcs train $(DATA) --config configs/train/fast.yaml --out runs/fast --name fast

install: $(VENV)/.installed
dev: $(VENV)/.installed-dev

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit('hcs needs Python 3.11 or later, this is ' + sys.version) if sys.version_info < (3, 11) else None"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-out site
