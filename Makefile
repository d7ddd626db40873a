PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXAMPLE := examples/contract_clauses
# Two tests at a time; each file stays with one of them, for its runs are shared.
WORKERS ?= 2
BENCHMARKS := startup deciding search batch_estimates tui training first_step

.PHONY: demo test check bench backtest-decisions backtest-estimates fit rehearsal goldens clean

# torch goes first: pip would otherwise pick its newest build, with gigabytes of CUDA.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q advisor
	touch $@

# Recommends for an example, then rehearses the recommended run on the small embedded base.
demo: $(READY)
	$(BIN)/advisor recommend --answers $(EXAMPLE)/answers.yaml
	$(BIN)/advisor launch --answers $(EXAMPLE)/answers.yaml --data $(EXAMPLE)/data.jsonl \
		--base-model rehearsal --yes

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	for benchmark in $(BENCHMARKS); do $(BIN)/python benchmarks/$$benchmark.py || exit 1; done

# Scores the advice on real projects, beside the answers that it must beat.
backtest-decisions: $(READY)
	$(BIN)/python benchmarks/backtest_decisions.py

# Scores the estimates on published runs, each group of publications left out, beside simple rules.
backtest-estimates: $(READY)
	$(BIN)/python benchmarks/backtest_estimates.py

# Fits the rates and intervals of the estimates on published runs; replaces the shipped ones.
fit: $(READY)
	$(BIN)/python benchmarks/fit_utilisation.py --write
	$(BIN)/python benchmarks/backtest_estimates.py --write

# Pretrains the embedded rehearsal base anew from generated text; the result replaces the shipped one.
rehearsal: $(READY)
	$(BIN)/python -m advisor.rehearsal

# Writes what each example is expected to give; read the difference before committing it.
goldens: $(READY)
	for answers in examples/*/answers.yaml; do \
		$(BIN)/advisor recommend --answers $$answers --json \
			> $$(dirname $$answers)/recommendation.json || exit 1; done

clean:
	rm -rf $(VENV) build dist
