PYTHON ?= python3
.PHONY: test lint
.venv/installed: requirements.lock
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet -r requirements.lock
	touch $@
lint: .venv/installed
	.venv/bin/ruff check helpers tests
	.venv/bin/mypy helpers
test: lint
	.venv/bin/python -m pytest
