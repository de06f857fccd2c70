"""Takes one rule of the commit protocol away at a time and demands that its tests notice.

    make mutate                        # all of them: minutes, most of it compiling
    make mutate MUTATE_FLAGS="marks base-check"
    .venv/bin/python dev/mutate.py --list

The mutations are in dev/mutations.py: a small text replacement, and the tests that must fail with it. Everything happens in a
copy of the sources in build/mutate/sources. First the tests must pass there as they are; then each mutation is applied, built, its
tests are run, and the text is put back. Ends with status 1 where a test passes although its rule is gone, where a text to be
replaced is not there exactly once (the code has changed: change the mutation with it), or where a mutation does not compile.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build/mutate/sources"
BUILD = COPY / "build/release"  # where it is in the project itself, or ccache would find nothing
TEST_SECONDS_MAX = 120  # a rule that is gone may leave somebody waiting for ever, which counts as noticed


class Wrong(Exception):
    """What was found is not what a mutation needs."""


def copy_sources() -> None:
    """Files keep their times, so that only what has changed is built again; what is gone goes."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    COPY.mkdir(parents=True, exist_ok=True)
    for directory, below, files in os.walk(COPY):
        if Path(directory) == COPY:
            below[:] = [name for name in below if name not in ("build", ".venv")]
        for file in files:
            path = Path(directory, file)
            if str(path.relative_to(COPY)) not in names:
                path.unlink()
    if not (COPY / ".venv").is_symlink():
        (COPY / ".venv").symlink_to(ROOT / ".venv")
    for name in names:
        source, target = ROOT / name, COPY / name
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def run(command: list[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def build(targets: list[str]) -> None:
    built = run(["ninja", "-C", BUILD, *targets])
    if built.returncode:
        raise Wrong(f"does not compile:\n{built.stdout[-3000:]}")


def test(mutation: Mutation) -> tuple[bool, str]:
    """Do its tests pass, and the first line that says why not. Raises Wrong where none was run."""
    if mutation.gtest:
        command = [BUILD / mutation.target, f"--gtest_filter={mutation.gtest}"]
    else:
        command = [ROOT / ".venv/bin/python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.pytest]
    environment = os.environ | {"PYTHONPATH": str(BUILD / "python")}
    with tempfile.TemporaryFile("w+") as said:  # not a pipe: a process that a test left behind would keep it open
        running = subprocess.Popen([str(part) for part in command], stdout=said, stderr=subprocess.STDOUT, cwd=COPY, env=environment,
                                   start_new_session=True)
        try:
            running.wait(TEST_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return False, f"did not end within {TEST_SECONDS_MAX} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        said.seek(0)
        output = said.read()
    count = re.search(r"Running (\d+) tests? from|(\d+) (?:passed|failed)", output)
    if count is None or not any(int(number) for number in count.groups() if number):
        raise Wrong(f"runs no test:\n{output[-1000:]}")
    if "[  SKIPPED ]" in output or re.search(r"\d+ skipped", output):
        raise Wrong(f"skips a test:\n{output[-1000:]}")
    reasons = re.findall(r"(?m)^(?:\[  FAILED  \] (\S+).*|FAILED (\S+).*)$", output)
    failed = sorted({name.rstrip(",") for pair in reasons for name in pair if name and not name.isdigit()})
    return running.returncode == 0, ", ".join(failed) or f"ended with status {running.returncode}"


def apply(mutation: Mutation) -> None:
    path = COPY / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise Wrong(f"{mutation.file} contains its text {text.count(mutation.old)} times, not once:\n{mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))


def try_out(mutation: Mutation) -> str:
    """Applies it and puts the text back. Returns which tests noticed; raises Wrong where none did."""
    path = COPY / mutation.file
    before = path.read_bytes()
    try:
        apply(mutation)
        build([mutation.target])
        passed, failed = test(mutation)
    finally:
        path.write_bytes(before)
    if passed:
        raise Wrong(f"its tests pass without the rule: {mutation.gtest or ' '.join(mutation.pytest)}")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutations to try; default: all")
    parser.add_argument("--list", action="store_true", help="print the mutations and end")
    options = parser.parse_args()
    unknown = set(options.names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}; --list prints those there are")
    chosen = [mutation for mutation in MUTATIONS if not options.names or mutation.name in options.names]
    if options.list:
        for mutation in chosen:
            print(f"{mutation.name:24} {mutation.rule}")
        return

    copy_sources()
    configured = run(["cmake", "--preset", "release"], cwd=COPY)
    if configured.returncode:
        raise SystemExit(configured.stdout)
    wrong = []
    try:
        build(sorted({mutation.target for mutation in chosen}))
        for mutation in chosen:
            passed, failed = test(mutation)
            if not passed:
                raise Wrong(f"the tests of '{mutation.name}' fail with nothing changed: {failed}")
    except Wrong as problem:
        raise SystemExit(f"as it is, the code {problem}") from None
    for mutation in chosen:
        start = time.monotonic()
        try:
            noticed = try_out(mutation)
            print(f"noticed   {mutation.name:24} {time.monotonic() - start:4.0f} s  {noticed}", flush=True)
        except Wrong as problem:
            wrong.append(mutation.name)
            print(f"WRONG     {mutation.name:24} {problem}", flush=True)
    if wrong:
        sys.exit(f"{len(wrong)} of {len(chosen)} mutations went unnoticed or could not be tried: {', '.join(wrong)}")
    print(f"all {len(chosen)} mutations were noticed")


if __name__ == "__main__":
    main()
