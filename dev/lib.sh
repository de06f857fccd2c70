# Sourced by the scripts of this directory: where things are, and how steps announce themselves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
venv=$root/.venv
peers=$root/.cache/venvs/peers
build=$root/build/release
timings=${DATASHARD_TIMINGS:-}

say() { printf '\n== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step "what is done" command…: announces the step, runs it, and says how long it took.
step() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@" || die "'$name' failed (status $?)"
  printf '   %s: %s s\n' "$name" "$((SECONDS - start))"
  if [ -n "$timings" ]; then printf '%s\t%s\n' "$((SECONDS - start))" "$name" >>"$timings"; fi
}
