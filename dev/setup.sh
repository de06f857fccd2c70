#!/usr/bin/env bash
# Installs what building and testing need: Debian packages (only those missing) and the Python environment in .venv.
# With "peers", also the environment of other engines that interop tests and benchmarks talk to; with "spark", that of Spark.
source "$(dirname "$0")/lib.sh"

# missing_packages LIST, install_packages LIST: of the Debian packages named in a file, one a line.
missing_packages() {
  local package
  while read -r package; do
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || printf '%s\n' "$package"
  done <"$1"
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$1")
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  command -v apt-get >/dev/null || die "these packages are needed, and there is no apt-get to install them: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    die "not root; run once: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  printf '   installing: %s\n' "${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# environment DIRECTORY LOCK: a virtual environment with exactly the versions of LOCK; nothing to do when it has them.
environment() {
  local directory=$1 lock=$2 stamp
  stamp=$directory/.installed-$(sha256sum "$lock" | cut -c1-16)
  if [ -e "$stamp" ] && [ -x "$directory/bin/python" ]; then return 0; fi
  # An environment whose interpreter is gone or whose directory was moved is made anew.
  "$directory/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$directory"
  "$directory/bin/python" -m pip install --quiet --disable-pip-version-check -r "$lock"
  rm -f "$directory"/.installed-*
  touch "$stamp"
}

# The jars of dev/spark-packages.txt, by Spark's own downloader, into $spark/ivy/jars.
spark_jars() {
  local packages stamp
  packages=$(paste -sd, dev/spark-packages.txt)
  stamp=$spark/.jars-$(printf '%s' "$packages" | sha256sum | cut -c1-16)
  if [ -e "$stamp" ]; then return 0; fi
  rm -rf "$spark/ivy"
  "$spark/bin/python" - "$packages" "$spark/ivy" >/dev/null 2>"$spark/ivy.log" <<'PYTHON' || die "see $spark/ivy.log"
import sys
from pyspark.sql import SparkSession

SparkSession.builder.master("local[1]").config("spark.jars.packages", sys.argv[1]).config("spark.jars.ivy", sys.argv[2]) \
    .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1").getOrCreate().stop()
PYTHON
  touch "$stamp"
}

step "Debian packages" install_packages dev/apt-packages.txt
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "$(python3 --version) is too old; 3.10 or newer is needed"
step "Python environment .venv" environment "$venv" dev/requirements.lock
for extra in "$@"; do
  mkdir -p "$(dirname "$peers")"
  case $extra in
    peers) step "environment of other engines" environment "$peers" dev/requirements-peers.lock ;;
    spark)
      step "Debian packages for Spark" install_packages dev/apt-packages-spark.txt
      step "environment of Spark" environment "$spark" dev/requirements-spark.lock
      step "Iceberg for Spark" spark_jars
      ;;
    *) die "unknown extra '$extra'; expected peers or spark" ;;
  esac
done
