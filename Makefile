# Every target makes .venv and installs what it needs; a stamp for each set of extras keeps repeat runs quick.
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
EXAMPLES := $(VENV)/installed-examples
DEV := $(VENV)/installed-dev+examples
comma := ,

.PHONY: help demo test test-slow test-torch test-ptx test-gpu coverage bench lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         train a convolutional network on scikit-learn's digits"
	@echo "make test         the test suite; needs neither PyTorch nor a GPU"
	@echo "make test-slow    all tests, with the whole sweep against PyTorch (adds its CPU build)"
	@echo "make coverage     the whole sweep alone; writes docs/coverage.md from its results"
	@echo "make test-torch   the comparisons with PyTorch (adds its CPU build)"
	@echo "make test-ptx     the CUDA kernels compiled, without a GPU (adds NVIDIA's compiler, in .venv-ptx)"
	@echo "make test-gpu     the test suite on the first CUDA device"
	@echo "make bench        the benchmarks; with PyTorch beside it, their ratios"
	@echo "make lint         ruff, and mypy on the built wheel"
	@echo "make clean        remove both environments, caches and what was built"

$(VENV)/installed-%: pyproject.toml
	@echo "Installing autograd-core[$(subst +,$(comma),$*)] into $(VENV) ..."
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP) --editable ".[$(subst +,$(comma),$*)]"
	@touch $@

demo: $(EXAMPLES)
	$(PY) -m autograd_core train digits

test: $(DEV)
	$(PY) -m pytest

test-slow: $(DEV)
	@$(PY) tools/cpu_torch.py; case $$? in 0|3) $(PY) -m pytest -m "" ;; *) exit 1 ;; esac

coverage: $(DEV)
	@$(PY) tools/cpu_torch.py && $(PY) tools/coverage_page.py --processes 2

test-torch: $(DEV)
	@$(PY) tools/cpu_torch.py; case $$? in \
	  0) $(PY) -m pytest $$(grep -rlw --include='test_*.py' torch tests) ;; \
	  3) exit 0 ;; \
	  *) exit 1 ;; \
	esac

# In an environment of its own: numba-cuda holds NumPy back, and changes what `numba.cuda` is.
test-ptx:
	@$(MAKE) --no-print-directory VENV=.venv-ptx .venv-ptx/installed-ptx
	$(subst $(VENV),.venv-ptx,$(PY)) -m pytest -m "" tests/backends/test_cuda_ptx.py

# The extra follows the driver: its CUDA version is the newest that it runs.
test-gpu: $(DEV)
	@cuda=$$(nvidia-smi | sed -n 's/.*CUDA Version: *\([0-9]*\).*/\1/p'); \
	case "$$cuda" in \
	  "") echo "make test-gpu: nvidia-smi reports no CUDA driver, so there is no GPU to test on" >&2; exit 1 ;; \
	  12) extra=cuda12 ;; \
	  *) extra=cuda13 ;; \
	esac; \
	$(MAKE) --no-print-directory $(VENV)/installed-dev+examples+$$extra
	$(PY) -c 'import autograd_core as ag; ag.zeros(1, device="cuda")'
	$(PY) -m pytest --device cuda

bench: $(EXAMPLES)
	$(PY) -m autograd_core bench

lint: $(DEV)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) tools/typecheck.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
