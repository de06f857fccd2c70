#!/usr/bin/env bash
# Builds the release preset and makes the result usable from .venv: `import datashard` and the binaries in .venv/bin.
# Arguments are targets for ninja; none builds everything.
source "$(dirname "$0")/lib.sh"

configure() {
  cmake --preset release >"$root/build/configure.log" 2>&1 || { tail -n 30 "$root/build/configure.log" >&2; return 1; }
}

link_into_venv() {
  local site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  printf '%s\n' "$build/python" >"$site/datashard-build.pth"
  ln -sf "$build/cli/datashard" "$venv/bin/datashard"
}

mkdir -p build
step "configure" configure
step "compile" ninja -C "$build" "$@"
step "make .venv see the build" link_into_venv
"$venv/bin/python" -c 'import datashard; print("   datashard", datashard.__version__, "is ready in .venv")'
