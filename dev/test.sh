#!/usr/bin/env bash
# Sets up, builds and runs the tests: fast (C++ and quick Python tests), default (all but the long ones), or all. Both runners
# always run, so that one failure does not hide another; the status says whether all passed.
source "$(dirname "$0")/lib.sh"

scope=${1:-default}
room=${ROOM:-}

cpp_tests() {
  local select=()
  [ -z "$room" ] || select=(-L "^$room\$")
  # Tests that need an S3 server are skipped where none was built yet: `make test` builds one, the quick recipes do not.
  local with_server=()
  if compgen -G ".cache/bin/versitygw-*" >/dev/null; then with_server=(dev/s3-server run --for-tests --keep-alive --); fi
  "${with_server[@]}" ctest --test-dir "$build" --output-on-failure --no-tests=error -j2 "${select[@]}"
}

# The client and the store on the second server.
minio_tests() {
  dev/s3-server run --for-tests --server minio -- "$build/s3_test" --gtest_brief=1
}

# tests/cli is run by ctest, which knows where the command is.
python_tests() {
  local select=()
  case $scope in
    fast) select=(tests/python tests/repo tests/s3 -m "not slow and not long") ;;
    default) select=(tests --ignore=tests/cli -m "not long") ;;
    all) select=(tests --ignore=tests/cli) ;;
    *) die "unknown scope '$scope'; expected fast, default or all" ;;
  esac
  "$venv/bin/python" -m pytest -q -p no:cacheprovider "${select[@]}"
}

extras=(peers)
[ "$scope" != all ] || extras+=(spark)
if [ "$scope" = fast ] || [ -n "$room" ]; then extras=(); fi
dev/setup.sh "${extras[@]}"
if [ ${#extras[@]} -gt 0 ]; then
  step "S3 server for tests" dev/s3-server install
  [ "$scope" != all ] || step "second S3 server for tests" dev/s3-server install --server minio
fi
dev/build.sh
failed=()
run() {
  set +e
  attempt "$@"
  [ $? -eq 0 ] || failed+=("$1")
}
run "C++ tests" cpp_tests
[ "$scope" != all ] || [ -n "$room" ] || run "C++ tests on MinIO" minio_tests
[ -n "$room" ] || run "Python tests" python_tests
[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
