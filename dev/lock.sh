#!/usr/bin/env bash
# Resolves dev/requirements*.txt into the lock files: exact versions of everything, made in fresh environments.
source "$(dirname "$0")/lib.sh"

for name in requirements requirements-peers requirements-spark; do
  scratch=$(mktemp -d)
  python3 -m venv "$scratch"
  "$scratch/bin/python" -m pip install --quiet --disable-pip-version-check -r "dev/$name.txt"
  {
    printf '# Exact versions for dev/%s.txt; made by `make lock`.\n' "$name"
    "$scratch/bin/python" -m pip freeze --disable-pip-version-check
  } >"dev/$name.lock"
  rm -rf "$scratch"
  say "dev/$name.lock written"
done
