#!/usr/bin/env bash
# Builds the release preset and makes the result usable from .venv: `import datashard` and the commands in .venv/bin.
# Arguments are targets for ninja; none builds everything.
source "$(dirname "$0")/lib.sh"

configure() {
  mkdir -p build
  cmake --preset release >build/configure.log 2>&1 || { tail -n 30 build/configure.log >&2; return 1; }
}

link_into_venv() {
  local site
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  printf '%s\n' "$build/python" >"$site/datashard-build.pth"
  ln -sf "$build/cli/datashard" "$venv/bin/datashard"
  ln -sf "$build/cli/shardy" "$venv/bin/shardy"
  "$venv/bin/python" -c 'import datashard; print("   datashard", datashard.__version__, "is ready in .venv")'
}

[ -x "$venv/bin/python" ] || dev/setup.sh
step "configure" configure
step "compile ${*:-everything}" ninja -C "$build" "$@"
# A build of some targets, such as those of a simulation, may have left out the module and the command.
if [ -x "$build/cli/datashard" ] && compgen -G "$build/python/datashard/_core*.so" >/dev/null; then
  step "make .venv see the build" link_into_venv
fi
