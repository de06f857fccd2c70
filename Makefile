# The one entry point; every recipe is a script in dev/ that says what it is doing and how long it took.
.DEFAULT_GOAL := help
.PHONY: help setup peers spark build demo test test-fast test-all sim bench stress mutate s3-server tidy wheel lock clean

help:  ## list the recipes
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## install Debian packages and the Python environment .venv
	@dev/setup.sh

peers:  ## also install the other engines that interop tests and benchmarks talk to
	@dev/setup.sh peers

spark:  ## also install Spark (Java, 600 MB), which the tests in tests/spark talk to
	@dev/setup.sh spark

build:  ## build everything; .venv/bin/python then imports datashard
	@dev/setup.sh
	@dev/build.sh

demo:  ## set up, build what is needed, load a year of flights from four processes, and look aircraft up
	@dev/demo.sh

test:  ## build and run the tests (ROOM=storage: the C++ tests of one room)
	@dev/test.sh default

test-fast:  ## the quick tests, within a minute once built
	@dev/test.sh fast

test-all:  ## every test, the long ones and Spark's too
	@dev/test.sh all

sim: setup  ## the simulations (SEED=17 or SEEDS=17,18 replays)
	@dev/build.sh sim_test
	@DATASHARD_SEEDS=$(or $(SEEDS),$(SEED)) build/release/sim_test

bench: peers  ## a benchmark beside its peers: NAME=append, read, commit, flat, s3 or shards
	@dev/build.sh
	@case "$(NAME)" in commit|flat|s3|shards) dev/build.sh bench_native;; esac
	@.venv/bin/python bench/run.py $(NAME) --ours .venv/bin/python --peers .cache/venvs/peers/bin/python $(BENCH_FLAGS)

stress: build  ## the product's own stress: 12 processes append 10,000 rows each (STRESS_FLAGS="--appends 1000 --kill-every 1")
	@dev/build.sh stress_writer
	@.venv/bin/python dev/stress.py $(STRESS_FLAGS)

s3-server:  ## a local S3 server until Ctrl-C; prints the variables that point datashard to it
	@dev/s3-server

mutate: setup  ## take one rule of the commit protocol away at a time; its tests must notice (MUTATE_FLAGS="marks-read tombstones")
	@.venv/bin/python dev/mutate.py $(MUTATE_FLAGS)

tidy: setup  ## the checks on the sources themselves
	@.venv/bin/python -m pytest -q -p no:cacheprovider tests/repo

# By the compiler's name that `make build` uses, ccache has nearly everything.
wheel: setup  ## build the wheel of both packages and both commands into dist/
	@CXX=$${CXX:-c++} .venv/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist .

lock: setup  ## resolve the lock files anew
	@dev/lock.sh

clean:  ## remove what was built (the environments stay)
	rm -rf build dist
