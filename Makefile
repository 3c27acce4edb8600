# `make` sets up .venv and runs the pipeline; `make help` lists the rest.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)# DVC runs the `python` that is first on PATH
READY := .venv/ready

.PHONY: run plots test format lock clean help

run: $(READY) ## set up, run what has changed of the pipeline, show the metrics
	@dvc repro
	@echo && dvc metrics show metrics/evaluate.json
	@echo && echo "pictures:   plots/*.png, or all of them on one page: make plots"
	@echo "submission: data/submission.csv"

plots: $(READY) ## draw DVC's plots on one page
	@dvc plots show

test: $(READY) ## set up, check the style, run all tests
	@ruff check && ruff format --check
	@pytest --numprocesses auto --dist loadfile

format: $(READY) ## put the code in order
	@ruff check --fix && ruff format

lock: $(READY) ## write requirements.txt anew from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.txt

clean: ## remove the environment; data, models and DVC's cache stay
	rm -rf .venv

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "found $$($(PYTHON) --version 2>&1), expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up .venv, once: about 3 GB, some minutes"
	@$(PYTHON) -m venv .venv
	@python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@
