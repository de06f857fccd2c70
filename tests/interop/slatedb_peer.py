"""The SlateDB engine, asked by test_slatedb.py: runs in the peers' environment and knows nothing of datashard.

slatedb_peer.py write DIRECTORY   a plan on stdin: {"settings": {...}, "steps": [[what, ...], ...], "shutdown": true}
slatedb_peer.py read DIRECTORY    keys on stdin, as a JSON list; answers {"values": [...], "pairs": [[key, value], ...]}
Keys and values are hexadecimal.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import slatedb.uniffi as engine


def place(directory: str):
    return directory.lstrip("/"), engine.ObjectStore.resolve("file:///")


async def write(directory: str, plan: dict) -> None:
    builder = engine.DbBuilder(*place(directory))
    settings = engine.Settings.default()
    for name, value in plan.get("settings", {}).items():
        settings.set(name, json.dumps(value))
    builder.with_settings(settings)
    if block_size := plan.get("block_size"):
        builder.with_sst_block_size(getattr(engine.SstBlockSize, block_size))
    database = await builder.build()
    for what, *arguments in plan["steps"]:
        if what == "write":
            batch = engine.WriteBatch()
            for key, value in arguments[0]:
                if value is None:
                    batch.delete(bytes.fromhex(key))
                else:
                    batch.put(bytes.fromhex(key), bytes.fromhex(value))
            await database.write(batch)
        elif what == "flush":
            await database.flush_with_options(engine.FlushOptions(flush_type=getattr(engine.FlushType, arguments[0])))
        elif what == "wait":
            await wait_for_a_run(directory)
        else:
            raise ValueError(what)
    if plan.get("shutdown", True):
        await database.shutdown()


async def wait_for_a_run(directory: str) -> None:
    """Returns when the compactor has made a sorted run and level 0 is nearly empty."""
    path, store = place(directory)
    admin = engine.AdminBuilder(path, store).build()
    for _ in range(300):
        manifest = await admin.read_manifest(None)
        if manifest.compacted:
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the compactor made no sorted run in 30 s")


async def read(directory: str, keys: list[str]) -> dict:
    reader = await engine.DbReaderBuilder(*place(directory)).build()
    values = []
    for key in keys:
        value = await reader.get(bytes.fromhex(key))
        values.append(None if value is None else value.hex())
    found = await reader.scan(engine.KeyRange(start=None, start_inclusive=False, end=None, end_inclusive=False))
    pairs = []
    while (pair := await found.next()) is not None:
        pairs.append([pair.key.hex(), pair.value.hex()])
    await reader.shutdown()
    return {"values": values, "pairs": pairs}


def main() -> None:
    command, directory = sys.argv[1:]
    asked = json.load(sys.stdin)
    answer = asyncio.run(write(directory, asked) if command == "write" else read(directory, asked))
    print(json.dumps(answer), flush=True)
    os._exit(0)  # a database that is not shut down leaves threads behind, which is what the WAL tests want


main()
