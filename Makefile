# These need nothing but Python 3.11+ and make:
#   make demo   set up .venv, train on the shipped table, print the result
#   make test   set up .venv, run lint, types and tests
#   make docs   set up .venv-docs, build the documentation into build/docs; a warning is an error
# With Chromium in /usr/bin and npm:
#   make test-browser   test the pages in it; what is missing skips, and says so
# What is published:
#   make test-wheel   build sdist and wheel into build/dist, install the wheel into an empty .venv-wheel, train from it
# With g++ on x86-64 Linux also, and without a GPU:
#   make test-cuda    set up .venv-cuda, run the tests that need a GPU on an emulated one
#   make test-nvrtc   after it, compile the kernels of those tests with NVIDIA's compiler
#   make test-mistakes   make eleven mistakes, each of which a test has to catch
# With a GPU, by the Python that has CuPy and the packages named in benchmarks/gpu.py:
#   make gpu    run the tests that need it, compare with the CPU, time; six minutes at most
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

DOCS_VENV := .venv-docs
WHEEL_VENV := .venv-wheel
CUDA_VENV := .venv-cuda
CUDA_BIN := $(CUDA_VENV)/bin

.PHONY: demo test test-browser docs test-wheel emulated-cuda test-cuda test-nvrtc test-mistakes gpu lint types format clean

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "xpnet needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $*

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/xpnet train examples/data/banknote.csv --target class --out banknote.safetensors

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

test: lint types
	$(BIN)/python -m pytest -n 2 -m 'not browser' --cov --cov-report=term --cov-fail-under=95

test-browser: $(VENV)/.dev
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check 'playwright>=1.50'
	-mkdir -p build/axe && npm install --silent --no-fund --no-audit --prefix build/axe axe-core@4
	$(BIN)/python -m pytest -m browser tests/browser

$(DOCS_VENV)/.ready: $(DOCS_VENV)/bin/python pyproject.toml
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: $(DOCS_VENV)/.ready
	$(DOCS_VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs

# The wheel is built from the sdist, and runs where the checkout cannot be imported.
test-wheel:
	rm -rf $(WHEEL_VENV) build/dist
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check build
	$(WHEEL_VENV)/bin/python -m build --outdir build/dist .
	$(PYTHON) -m venv --clear $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check build/dist/*.whl
	cd build/dist && ../../$(WHEEL_VENV)/bin/xpnet train ../../examples/data/banknote.csv --target class --out banknote.safetensors

# An environment of its own, because where CuPy is installed `make test` would look for a GPU.
$(CUDA_VENV)/.ready: $(CUDA_BIN)/python pyproject.toml
	$(CUDA_BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[emulated-cuda]'
	@touch $@

emulated-cuda: $(CUDA_VENV)/.ready
	cd tests && ../$(CUDA_BIN)/python -m emulated_cuda.build

test-cuda: emulated-cuda
	$(CUDA_BIN)/python -m pytest -n 2 -m cuda --require-cuda
	$(CUDA_BIN)/python benchmarks/gpu.py --emulated --out build

test-nvrtc: emulated-cuda
	cd tests && ../$(CUDA_BIN)/python -m emulated_cuda.real_nvrtc

test-mistakes: emulated-cuda
	cd tests && ../$(CUDA_BIN)/python -m emulated_cuda.mistakes

gpu:
	PYTHONPATH=. $(PYTHON) benchmarks/gpu.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(CUDA_VENV) $(DOCS_VENV) $(WHEEL_VENV) build docs/records docs/reference/api docs/reference/findings docs/reference/command-line.md .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache banknote.safetensors
	find . -name __pycache__ -prune -exec rm -rf {} +
