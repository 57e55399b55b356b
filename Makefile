# make book: the whole book from the embedded data and the recorded results. make test: everything that must hold.
PYTHON ?= python3
BIN := .venv/bin
.DELETE_ON_ERROR:
.PHONY: book test lint pairs course bench lock clean

book: .venv/installed
	@$(BIN)/python -m helpers book

test: lint
	@$(BIN)/python -m tests.browser
	$(BIN)/python -m pytest -n 2 -m "not slow"
	@$(BIN)/python -m helpers book
	$(BIN)/python -m pytest -n 2 -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

pairs: .venv/installed
	@$(BIN)/python -m helpers pairs

course: .venv/installed
	@$(BIN)/python -m helpers course

bench: .venv/installed
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --all-extras pyproject.toml -o requirements.lock

clean:
	rm -rf _build book/pages course

.venv/installed: requirements.lock pyproject.toml
	@echo "Setting up .venv (about two minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --requirement requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
