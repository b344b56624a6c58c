# make app    serve on http://127.0.0.1:8501 (PORT= changes the port)
# make test   the whole test suite
# Both make .venv on first use; they need Python 3.11 or newer, pip and make.

PORT ?= 8501
PYTHON ?= python3
BIN := .venv/bin
OPENCV = $(shell sed -n 's/^opencv-python==//p' requirements.txt)

.PHONY: app test check clean

app: .venv/app
	$(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

# The browser tests wait more than they compute, and their patience has limits: they run alone, and
# one that fails has a second chance, of which the last line tells. A defect fails twice.
test: .venv/test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --ignore tests/browser
	$(BIN)/python -m pytest --reruns 1 tests/browser

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/app: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit("Pneumo needs Python 3.11 or newer. Found: " + sys.version.split()[0] + ". Name another with PYTHON=.") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
# opencv-python needs the system's libGL; where that is absent, the same release without windows.
	$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/python -m pip install --quiet --force-reinstall --no-deps opencv-python-headless==$(OPENCV)
	touch $@

.venv/test: .venv/app requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

clean:
	rm -rf .venv
