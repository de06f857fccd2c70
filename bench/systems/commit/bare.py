"""The four bare files of bench/native/bare_commit.cc: their place, and what it left there."""

from __future__ import annotations

import os


def create(directory: str) -> None:
    os.mkdir(os.path.join(directory, "data"))
    os.makedirs(os.path.join(directory, "metadata", "m"))


def found(directory: str) -> list[int]:
    ids = [int(name) for name in os.listdir(os.path.join(directory, "data"))]
    versions = [name for name in os.listdir(os.path.join(directory, "metadata")) if name.startswith("v") and name[1].isdigit()]
    if len(versions) != len(ids):
        raise RuntimeError(f"{len(ids)} data files, but {len(versions)} versions")
    return ids
