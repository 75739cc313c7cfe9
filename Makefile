# Every target works in .venv at the root and makes it when it is missing. After `make install`, run .venv/bin/soak.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Images for CI often set it. Then each process compiles all that it imports, and the tests start thousands.
unexport PYTHONDONTWRITEBYTECODE
C_SOURCES := $(wildcard soak/native/source/*/*.[ch] camera/driver/*.c tests/native/*.c tests/native/*.cpp)

.DEFAULT_GOAL := help
.PHONY: help install soak jukebox soak-camera overnight profile view test test-long test-interpreters test-slurm test-htcondor stress check fix bench \
	calibrate accept fuzz torture night sample test-wheel clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

install: $(INSTALLED)  ## make .venv and install soak and its development tools in it

soak: $(INSTALLED)  ## soak every component of the decoder and say which one grows (about a minute)
	$(BIN)/soak run

JUKEBOX_PYTHON ?= /usr/bin/python3
jukebox: $(INSTALLED)  ## soak the jukebox on real GStreamer; names the apt packages that it lacks (about a minute)
	@if $(JUKEBOX_PYTHON) -m jukebox.missing; then \
	$(BIN)/soak run --python $(JUKEBOX_PYTHON) standalone_tests/jukebox; fi

CAMERA_DRIVERS := $(addprefix standalone_tests/camera/drive_,frame.py paced.py writer.py open_close.py)
ARAVIS_PYTHON ?= /usr/bin/python3
soak-camera: $(INSTALLED)  ## soak the camera recorder on each camera SDK that is there (some minutes)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[camera]' || true
	$(BIN)/soak run $(CAMERA_DRIVERS) \
	$$($(BIN)/python -m camera.missing pylon >&2 && echo standalone_tests/camera/drive_pylon.py)
	@if $(ARAVIS_PYTHON) -m camera.missing aravis; then \
	$(BIN)/soak run --python $(ARAVIS_PYTHON) standalone_tests/camera/drive_aravis.py; fi

overnight: $(INSTALLED)  ## soak the decoder for twelve hours, one cycle each 100 ms
	$(BIN)/soak run --overnight

profile: $(INSTALLED)  ## profile each component of the decoder with cProfile
	$(BIN)/soak profile

view: $(INSTALLED)  ## show profiles (in SnakeViz) and reports in the browser
	$(BIN)/soak view

test: $(INSTALLED)  ## run the tests (five minutes on two cores)
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal -m "not calibration and not long and not stress and not interpreters and not slurm and not htcondor"

test-long: $(INSTALLED)  ## run the long tests: scans of live processes, kills at random moments
	$(BIN)/python -m pytest -m long

test-interpreters: $(INSTALLED)  ## run what depends on CPython on each version from 3.8 on; fetch those that Debian has
	$(BIN)/python .ci/newer_interpreters.py build/interpreters
	PATH="$(CURDIR)/build/interpreters/bin:$$PATH" $(BIN)/python -m pytest -rs -m interpreters
	PATH="$(CURDIR)/build/interpreters/bin:$$PATH" $(BIN)/python -m pytest -rs -k "3.14 or 3.15" tests/native

test-slurm: $(INSTALLED)  ## run soak fleet on a real Slurm with two nodes on this machine (Debian: slurmctld slurmd slurm-client munge)
	$(BIN)/python -m pytest -rs -m slurm tests/fleet

test-htcondor: $(INSTALLED)  ## run soak fleet on a real HTCondor on this machine; unpack that of Debian 13 in build/
	$(BIN)/python .ci/htcondor.py build/htcondor
	$(BIN)/python -m pytest -rs -m htcondor tests/fleet

stress: $(INSTALLED)  ## run ten million operations on the tracker from eight threads, under the sanitizers and preloaded
	$(BIN)/python -m pytest -m stress tests/native

check: $(INSTALLED)  ## check style, format and types; change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if test -x $(BIN)/clang-format; then $(BIN)/clang-format --dry-run --Werror $(C_SOURCES); \
	else echo "clang-format is not installed: the format of the C sources is not checked"; fi

fix: $(INSTALLED)  ## fix what ruff and clang-format can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_SOURCES)

calibrate: $(INSTALLED)  ## simulate the error rates of the verdict rule (some minutes)
	$(BIN)/python benchmarks/calibrate.py

bench: $(INSTALLED)  ## measure every figure that README and docs quote
	$(BIN)/python benchmarks/all.py
	$(BIN)/python benchmarks/against_peers.py --write-docs $(if $(REAL_LEAKS),--real-leaks $(REAL_LEAKS))

accept: $(INSTALLED)  ## soak every planted leak and its repaired twin on three interpreters
	$(BIN)/python benchmarks/accept.py

fuzz: $(INSTALLED)  ## give soak 100,000 mutated files, of each kind that it reads (half an hour or more)
	$(BIN)/python benchmarks/fuzz.py

torture: $(INSTALLED)  ## kill runs a thousand times with kill -9 and check what is left (half an hour or more)
	$(BIN)/python benchmarks/torture.py

night: $(INSTALLED)  ## run the 432,000 cycles of a night flat out and check that soak itself does not grow (minutes)
	$(BIN)/python benchmarks/night.py

sample: $(INSTALLED)  ## soak with a planted leak; make reports/sample and its picture in README again
	$(BIN)/python docs/sample.py

test-wheel: $(INSTALLED)  ## build the wheel, install it elsewhere and soak with each of PYTHONS (3.11, 3.12, 3.13)
	$(BIN)/python .ci/test_wheel.py
	$(BIN)/python .ci/test_wheel.py --offline

clean:  ## remove everything that was built; keep the reports
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
