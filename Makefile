# make book: the whole book from the embedded data and the recorded results. make test: everything that must hold.
# TORCH=cpu (default): PyTorch without CUDA where your package index offers such a build (with PyTorch's own:
# PIP_EXTRA_INDEX_URL=…/whl/cpu); else the index's build, with those CUDA libraries only that `import torch` loads.
# TORCH=cuda: the index's build, whole.
PYTHON ?= python3
TORCH ?= cpu
BIN := .venv/bin
.DELETE_ON_ERROR:
.PHONY: book test lint pairs course bench lock clean

book: .venv/book-$(TORCH)
	@$(BIN)/python -m helpers book

# What fails is tried once more: tests with clusters, browsers and kills fail if the machine stands still for a while.
PYTEST := $(BIN)/python -m pytest -n 2
AGAIN := --last-failed --last-failed-no-failures none
test: lint
	@$(BIN)/python -m tests.browser
	$(PYTEST) -m "not slow" || $(PYTEST) -m "not slow" $(AGAIN)
	@$(BIN)/python -m helpers book
	$(PYTEST) -m slow || $(PYTEST) -m slow $(AGAIN)

lint: .venv/tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pairs: .venv/book-$(TORCH)
	@$(BIN)/python -m helpers pairs

course: .venv/book-$(TORCH)
	@$(BIN)/python -m helpers course

bench: .venv/tools
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

# Three locks without a line in common: the book, what CUDA builds of PyTorch add on Linux, the developers' tools.
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
  --no-emit-find-links pyproject.toml
ENTRY := /^[a-z]/ {cuda = /^(nvidia-|cuda-|triton)/}
lock: .venv/tools
	@mkdir -p _build && cat requirements*.lock > _build/all.lock # versions stay where they can
	$(BIN)/$(COMPILE) --all-extras -o _build/all.lock
	$(BIN)/$(COMPILE) --extra book --constraint _build/all.lock -o _build/book.lock
	awk '$(ENTRY) !cuda' _build/book.lock > requirements.lock
	awk '$(ENTRY) cuda' _build/book.lock > requirements-cuda.lock
	awk 'NR == FNR {held[$$0]; next} /^[a-z]/ {new = !($$0 in held)} new' _build/book.lock _build/all.lock \
	  > requirements-dev.lock

clean:
	rm -rf _build book/pages course

INSTALL := $(BIN)/pip install --quiet --no-deps
PAIR := $(shell sed -n 's/^ *"\(torch[a-z]*==[0-9.]*\)".*/\1+cpu/p' pyproject.toml)
UNLOADED := triton|cuda-|nvidia-(cusolver|nvtx|cuda-cccl)

.venv/book-cpu: requirements.lock requirements-cuda.lock pyproject.toml .venv/pip
	@[ ! -e .venv/book-cuda ] || { $(BIN)/pip uninstall --quiet --yes torch torchvision; rm .venv/book-cuda; }
	@$(INSTALL) $(PAIR) 2> /dev/null || { \
	  awk '/^[a-z]/ {loaded = !/^($(UNLOADED))/} loaded' requirements-cuda.lock > .venv/cuda.lock && \
	  $(INSTALL) --require-hashes --requirement .venv/cuda.lock; }
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/book-cuda: requirements.lock requirements-cuda.lock pyproject.toml .venv/pip
	@[ ! -e .venv/book-cpu ] || { $(BIN)/pip uninstall --quiet --yes torch torchvision; rm .venv/book-cpu; }
	@$(INSTALL) --require-hashes --requirement requirements.lock --requirement requirements-cuda.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/tools: requirements-dev.lock .venv/book-$(TORCH)
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

.venv/pip:
	@echo "Setting up .venv (about two minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15) and "Python 3.11 to 3.14 is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@touch $@
