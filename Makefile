# Each target makes the virtual environment it needs. PYTHON can name another interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What runs the bridge, and what tests it besides.
APP := $(VENV)/.app
READY := $(VENV)/.ready

.PHONY: help demo test lint bench growth mutants deb format peers clean

help:
	@echo "make demo   the whole chain on this machine, with sample webhooks (Ctrl-C ends it)"
	@echo "make test   every test, against real servers"
	@echo "make lint   ruff and mypy"
	@echo "make bench  figures: webhooks per second, CPU, memory"
	@echo "make growth figures of the bridge with more routes, larger bodies, longer backlogs"
	@echo "make deb    a package for this Debian, in dist/"
	@echo "make mutants  deliberate defects, each of which the tests must catch"

$(APP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is needed: apt install python3-venv"; exit 1; }
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(READY): $(APP)
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	touch $@

# The tests talk to real counterparts: what is missing is installed by the system's package manager.
peers: $(READY)
	@sh tests/support/install.sh mosquitto chromium nats-server systemd-analyze:systemd
	@$(BIN)/python -m tests.support.npm

demo: $(APP)
	@sh tests/support/install.sh mosquitto || $(MAKE) --no-print-directory .demo/bin/amqtt
	$(BIN)/relay-bridge demo $(ARGS)

# amqtt pins an old version of websockets, so it has an environment of its own.
.demo/bin/amqtt:
	$(PYTHON) -m venv .demo
	.demo/bin/python -m pip install --quiet --disable-pip-version-check amqtt

test: $(READY) peers
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@sh tests/support/install.sh mosquitto
	$(BIN)/python -m tests.bench $(ARGS)

growth: $(READY)
	@sh tests/support/install.sh mosquitto
	$(BIN)/python -m tests.bench.growth $(ARGS)

mutants: $(READY) peers
	$(BIN)/python -m tests.chaos.mutants $(ARGS)

deb: $(APP)
	sh systemd/deb/build.sh dist $(BIN)/python -m pip

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
