#!/usr/bin/env bash
# Runs the tests: fast (C++ and quick Python tests), default (all but the long ones), or all. Both runners always run, so
# that one failure does not hide another; the status says whether all passed.
source "$(dirname "$0")/lib.sh"

scope=${1:-default}
room=${ROOM:-}
status=0

cpp_tests() {
  local select=()
  [ -z "$room" ] || select=(-L "^$room\$")
  ctest --test-dir "$build" --output-on-failure -j2 "${select[@]}"
}

python_tests() {
  local select=()
  case $scope in
    fast) select=(tests/python tests/cli tests/repo -m "not slow and not long") ;;
    default) select=(tests -m "not long") ;;
    all) select=(tests) ;;
  esac
  "$venv/bin/python" -m pytest -q -p no:cacheprovider "${select[@]}"
}

(step "C++ tests" cpp_tests) || status=1
if [ -z "$room" ]; then (step "Python tests" python_tests) || status=1; fi
exit $status
