"""The SlateDB engine reads every database we write; we read every database it writes, in each of its states, without writing to it."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from conftest import PEERS, ROOT

TOOL = Path(os.environ.get("DATASHARD_SLATEDB_TOOL", ROOT / "build/release/tests/slatedb_tool"))
CODECS = [None, "Snappy", "Zlib", "Lz4", "Zstd"]  # by their numbers in the format


def pairs_of(count: int, seed: int) -> dict[bytes, bytes]:
    """Keys that share prefixes, some long; values of 0 to 300 bytes, and one that fills a block of its own."""
    draw = random.Random(seed)
    pairs = {b"key%07d" % (3 * number): draw.randbytes(draw.randrange(300)) for number in range(count)}
    pairs.update({b"\x00": b"first", b"\xff" * 9: b"last", b"long" * 400: b"", b"large": bytes(20_000)})
    return pairs


def probes(pairs: dict[bytes, bytes]) -> list[bytes]:
    """Some keys that are there, those beside them, and keys before, between and behind all."""
    some = sorted(pairs)[::7] + [b"\x00", b"\xff" * 9, b"large"]
    return some + [key + b"\x01" for key in some] + [b"key0000001", b"a", b"\xff" * 20]


def tool(*arguments, lines: str = "") -> str:
    if not TOOL.exists():
        pytest.fail(f"{TOOL} does not exist: run `make build`")
    done = subprocess.run([str(TOOL), *map(str, arguments)], input=lines, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def engine(command: str, directory: Path, asked):
    done = subprocess.run([str(PEERS), str(Path(__file__).with_name("slatedb_peer.py")), command, str(directory)], input=json.dumps(asked),
                          capture_output=True, text=True, timeout=300, env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.stat().st_size for path in directory.rglob("*") if path.is_file()}


def expect_we_read(directory: Path, pairs: dict[bytes, bytes]) -> None:
    before = names(directory)
    dumped = [tuple(bytes.fromhex(part) for part in line.split(" ")) for line in tool("dump", directory).splitlines()]
    assert dumped == sorted(pairs.items())
    keys = probes(pairs)
    got = tool("get", directory, lines="".join(key.hex() + "\n" for key in keys)).splitlines()
    assert got == [pairs[key].hex() if key in pairs else "-" for key in keys]
    assert names(directory) == before


@pytest.mark.parametrize("filter_from", [0, 10**9], ids=["filter", "no_filter"])
@pytest.mark.parametrize("codec", range(len(CODECS)), ids=str)
def test_the_engine_reads_what_we_write(tmp_path, codec, filter_from):
    pairs = pairs_of(4000, codec)
    lines = "".join(f"{key.hex()} {value.hex()}\n" for key, value in sorted(pairs.items()))
    tool("write", tmp_path, codec, 4096, filter_from, lines=lines)
    keys = probes(pairs)
    answer = engine("read", tmp_path, [key.hex() for key in keys])
    assert answer["values"] == [pairs[key].hex() if key in pairs else None for key in keys]
    assert answer["pairs"] == [[key.hex(), value.hex()] for key, value in sorted(pairs.items())]
    expect_we_read(tmp_path, pairs)  # the engine's reader has added manifests of its own


@pytest.mark.parametrize("block_size", [128, 1000, 65535])
def test_the_engine_reads_blocks_of_other_sizes(tmp_path, block_size):
    pairs = pairs_of(1500, block_size)
    tool("write", tmp_path, 0, block_size, 1000, lines="".join(f"{key.hex()} {value.hex()}\n" for key, value in sorted(pairs.items())))
    assert engine("read", tmp_path, [])["pairs"] == [[key.hex(), value.hex()] for key, value in sorted(pairs.items())]


def test_the_engine_reads_an_empty_database(tmp_path):
    tool("write", tmp_path, 0, 4096, 1000)
    assert engine("read", tmp_path, [b"a".hex()]) == {"values": [None], "pairs": []}
    expect_we_read(tmp_path, {})


def written_by_the_engine(directory: Path, rounds: int, after_each: list, **plan) -> dict[bytes, bytes]:
    """The engine writes `rounds` times over the same keys, and deletes a third of them each time but the first."""
    pairs: dict[bytes, bytes] = {}
    steps = []
    for round_ in range(rounds):
        batch: dict[bytes, bytes | None] = dict(pairs_of(1500, round_))
        if round_:
            batch.update({key: None for number, key in enumerate(sorted(batch)) if number % 3 == round_ % 3})
        steps += [["write", [[key.hex(), None if value is None else value.hex()] for key, value in batch.items()]], *after_each]
        pairs.update(batch)
    plan["steps"] = steps + plan.pop("at_end", [])
    engine("write", directory, plan)
    return {key: value for key, value in pairs.items() if value is not None}


def test_we_read_a_database_that_is_only_a_wal(tmp_path):
    pairs = written_by_the_engine(tmp_path, 3, [["flush", "WAL"]], shutdown=False)
    assert not (tmp_path / "compacted").exists()
    expect_we_read(tmp_path, pairs)


def test_we_read_level_zero_with_a_wal_behind_it(tmp_path):
    pairs = written_by_the_engine(tmp_path, 3, [["flush", "MEM_TABLE"]], shutdown=False,
                                  at_end=[["write", [[b"late".hex(), b"x".hex()], [b"large".hex(), None]]], ["flush", "WAL"]])
    pairs[b"late"] = b"x"
    pairs.pop(b"large", None)
    expect_we_read(tmp_path, pairs)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_we_read_a_database_that_was_shut_down(tmp_path, codec):
    pairs = written_by_the_engine(tmp_path, 2, [["flush", "MEM_TABLE"]], settings={"compression_codec": codec})
    expect_we_read(tmp_path, pairs)


@pytest.mark.parametrize("block_size", ["BLOCK1_KIB", "BLOCK64_KIB"])
def test_we_read_blocks_of_other_sizes(tmp_path, block_size):
    expect_we_read(tmp_path, written_by_the_engine(tmp_path, 2, [["flush", "MEM_TABLE"]], block_size=block_size))


def test_we_read_a_compacted_database(tmp_path):
    settings = {"compactor_options.poll_interval": "100ms", "compactor_options.max_sst_size": 65536}
    pairs = written_by_the_engine(tmp_path, 6, [["flush", "MEM_TABLE"]], settings=settings, at_end=[["wait"]])
    assert len(list((tmp_path / "compacted").iterdir())) > 7  # a run of several SSTs
    expect_we_read(tmp_path, pairs)
