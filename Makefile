# `make` sets up .venv and runs the pipeline; `make help` lists the rest.
PYTHON ?= python3
REV ?= HEAD
export PATH := $(CURDIR)/.venv/bin:$(PATH)# DVC runs the `python` that is first on PATH
READY := .venv/ready
COG := cog -I . -p "from benchmarks import tables" -P
GENERATED := README.md docs/reliability.md
OTHER_COLUMNS := ^(?!Experiment$$|Created$$|accuracy$$|errors$$|evaluated_images$$|raw$$|(prepare|train)\.)

.PHONY: run plots experiments test readme verify verify-cpu format lock clean help

run: $(READY) ## set up, run what has changed of the pipeline, say how good it is and where all is
	@dvc repro
	@echo && python -m stages.digits.summary

plots: $(READY) ## draw DVC's plots on one page, beside the last commit's or, with REV=NAME, another revision's
	@dvc plots diff $(REV)

experiments: $(READY) ## dvc exp show, with the columns that matter
	@dvc exp show --no-pager --only-changed --drop '$(OTHER_COLUMNS)'

test: $(READY) ## set up, check style, types and the documents' figures, run all tests
	@ruff check && ruff format --check
	@mypy
	@$(COG) --check --verbosity=1 $(GENERATED)
	@pytest --numprocesses auto --dist loadfile

readme: $(READY) ## write the documents' figures again from the files they come from
	@$(COG) -r $(GENERATED)

verify: $(READY) ## run the pipeline from nothing in a new clone and compare every output with dvc.lock
	@python -m benchmarks.verify

verify-cpu: $(READY) ## compare the bits that this CPU makes with those of emulated ones (needs qemu-user)
	@python -m benchmarks.verify_cpu

format: $(READY) ## format the code
	@ruff check --fix && ruff format

lock: $(READY) ## write requirements.txt again from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.txt

clean: ## remove the environment; data, models and DVC's cache stay
	rm -rf .venv

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "found $$($(PYTHON) --version 2>&1), expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up .venv, once: about 3 GB, some minutes"
	@$(PYTHON) -m venv .venv
	@python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@
