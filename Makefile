# Each target makes the virtual environment it needs. PYTHON can name another interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test lint bench format broker clean

help:
	@echo "make demo   the whole chain on this machine, with sample webhooks (Ctrl-C ends it)"
	@echo "make test   every test, against real servers"
	@echo "make lint   ruff and mypy"
	@echo "make bench  figures: webhooks per second, CPU, memory"

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is needed: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# The tests and the demo talk to a real broker.
broker:
	@sh tests/support/install-mosquitto.sh

demo: $(READY)
	@sh tests/support/install-mosquitto.sh || $(MAKE) --no-print-directory .demo/bin/amqtt
	$(BIN)/relay-bridge demo $(ARGS)

# amqtt pins an old version of websockets, so it has an environment of its own.
.demo/bin/amqtt:
	$(PYTHON) -m venv .demo
	.demo/bin/python -m pip install --quiet --disable-pip-version-check amqtt

test: $(READY) broker
	$(BIN)/python -m pytest $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) broker
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
