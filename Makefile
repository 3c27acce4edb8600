# `make` sets up .venv and runs the pipeline; `make help` lists the rest.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
# Unless PYTHON names one: the first that is supported of what uv finds, where there is uv, and of the usual names.
FIND_PYTHON = uv_python=$$(uv python find --system --no-python-downloads '>=3.11,<3.14' 2>/dev/null); \
  for python in "$$uv_python" python3 python3.13 python3.12 python3.11; do \
    if "$$python" -c '$(SUPPORTED)' 2>/dev/null; then echo "$$python"; break; fi; done
PYTHON ?= $(or $(shell $(FIND_PYTHON)),python3)
REV ?= HEAD
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(PATH)# DVC runs the `python` that is first on PATH
unexport PYTHONDONTWRITEBYTECODE# which containers set: each command would compile DVC and TensorFlow again
READY := .venv/ready
COG := cog -I . -p "from benchmarks.shared import tables" -P
DEAL := --numprocesses auto --no-loadscope-reorder# to the workers as tests/conftest.py says
GENERATED := README.md docs/comparison.md docs/handwriting.md docs/model_card.md docs/reliability.md
OTHER_COLUMNS := ^(?!Experiment$$|Created$$|accuracy$$|errors$$|log_loss$$|evaluated_images$$|raw$$|own$$|own_weight$$|own_errors$$|own_images$$|(prepare|train)\.)

.PHONY: run plots demo experiments test test-fast search test-search readme verify verify-cpu format lock clean help

run: $(READY) ## set up, run the stages that have changed, show accuracy and where the outputs are; RAW=PATH: on that data
	@dvc $(if $(RAW),exp run -S 'raw=$(RAW)',repro)
	@echo && python -m stages.digits.report.summary

plots: $(READY) ## draw DVC's plots on one page, beside the last commit's or, with REV=NAME, another revision's
	@dvc plots diff $(REV)

demo: $(READY) ## serve a page to draw digits on, with live predictions
	@python -m handwriting.demo

experiments: $(READY) ## dvc exp show, with the columns that matter
	@COLUMNS=200 dvc exp show --no-pager --only-changed --drop '$(OTHER_COLUMNS)'

test: $(READY) ## set up, check style, types and the numbers in the docs, run all tests
	@ruff check && ruff format --check
	@$(COG) --check --verbosity=1 $(GENERATED)
	@pytest $(DEAL)

test-fast: $(READY) ## check style, run the tests that take less than a second
	@ruff check && ruff format --check
	@pytest $(DEAL) -m "not slow"

search: .venv/search ## set up Optuna, search for better training parameters, say how sure they are
	@python -m benchmarks.search

test-search: .venv/search ## set up Optuna, run the tests that need it
	@pytest tests/benchmarks/optuna_search.py

readme: $(READY) ## regenerate the numbers in the docs from committed results
	@$(COG) -r $(GENERATED)

verify: $(READY) ## run the pipeline from scratch in a new clone and compare every output with dvc.lock
	@python -m benchmarks.verify

verify-cpu: $(READY) ## check that emulated CPUs give the same bits as this one (needs qemu-user)
	@python -m benchmarks.verify_cpu

format: $(READY) ## format the code
	@ruff check --fix && ruff format

lock: $(READY) ## regenerate requirements*.txt from pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --group search --constraints requirements.txt -o requirements-search.txt

clean: ## remove the environment; data, models and DVC's cache stay
	rm -rf .venv

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# At the end, Python compiles TensorFlow in the background, on a core that the first stages leave idle.
$(READY): requirements.txt
	@python='$(PYTHON)'; "$$python" -c '$(SUPPORTED)' 2>/dev/null || \
	  { echo "found $$("$$python" --version 2>&1), expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12" >&2; exit 1; }; \
	echo "setting up .venv (only once) with $$python: about 2 GB, a minute"; \
	bash setup.sh "$$python" $<
	@.venv/bin/python -c 'import stages.digits.model.backend' </dev/null >/dev/null 2>&1 &
	@touch $@

.venv/search: requirements-search.txt $(READY)
	@bash setup.sh "$$(readlink -f .venv/bin/python)" requirements.txt $<
	@touch $@
