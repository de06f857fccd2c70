"""Runs the `shardy` command as its users do, on snapshots in a directory or a bucket."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cli_harness import Command, find_command


class Shardy(Command):
    def __init__(self, directory: Path, prefix: str | None = None):
        super().__init__(directory)
        self.path = os.environ.get("SHARDY_COMMAND") or str(Path(find_command()).with_name("shardy"))
        self.prefix = prefix or f"file://{directory}/people"
        self.current = f"{self.prefix}/_CURRENT"

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in super().environment(**extra).items() if not name.startswith("SHARDY_")}
        return {**kept, "SHARDY_CURRENT": self.current, "HOME": str(self.directory)}

    def json(self, *arguments: str, **options):
        return json.loads(self.ok(*arguments, **options))

    def refused(self, *arguments: str, code: int = 1, **options) -> dict:
        answer = self.run(*arguments, **options)
        assert answer.code == code and answer.out == "", answer
        return json.loads(answer.err)


def publish(directory: Path, values: dict, run_id: str, prefix: str | None = None, **config):
    """One generation at `prefix`, or at directory/people: four hash shards."""
    from shardyfusion import HashShardedWriteConfig, PythonRecordInput, WriterOutputConfig
    from shardyfusion.writer.python import write_hash_sharded

    settings = HashShardedWriteConfig(num_dbs=4, s3_prefix=prefix or f"file://{directory}/people",
                                      output=WriterOutputConfig(run_id=run_id, local_root=str(directory / "local")), **config)
    return write_hash_sharded(list(values.items()), settings, PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1]))
