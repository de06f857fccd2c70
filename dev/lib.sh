#!/usr/bin/env bash
# Sourced by the scripts of this directory: where things are, how steps announce themselves, and where the time went.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
venv=$root/.venv
peers=$root/.cache/venvs/peers
spark=$root/.cache/venvs/spark
build=$root/build/release

say() { printf '\n== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The script that was called first keeps the times of all steps, also those of the scripts it calls, and shows them last.
where_the_time_went() {
  local status=$?
  if [ "$(wc -l <"$DATASHARD_TIMINGS")" -gt 1 ]; then
    say "where the time went ($SECONDS s)"
    sed 's/^/   /' "$DATASHARD_TIMINGS"
  fi
  rm -f "$DATASHARD_TIMINGS"
  exit "$status"
}
if [ -z "${DATASHARD_TIMINGS:-}" ]; then
  DATASHARD_TIMINGS=$(mktemp)
  export DATASHARD_TIMINGS
  trap where_the_time_went EXIT
fi

# attempt "what is done" command…: announces the step, runs it, and says how long it took. Returns its status.
# The command runs in a subshell called on its own: behind `||` or `if`, bash would go on after an error inside a function.
attempt() {
  local name=$1 start=$SECONDS status
  shift
  say "$name"
  set +e
  (set -e; "$@")
  status=$?
  printf '   %s: %s s\n' "$name" "$((SECONDS - start))"
  printf '%5s s  %s\n' "$((SECONDS - start))" "$name" >>"$DATASHARD_TIMINGS"
  return "$status"
}

# step "what is done" command…: an attempt that has to succeed.
step() {
  attempt "$@"
  local status=$?
  set -e
  [ "$status" -eq 0 ] || die "'$1' failed (status $status)"
}
