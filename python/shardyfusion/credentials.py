"""Credentials of a bucket, and where they come from. Nothing here writes to the environment of this process but `apply_env_file`, which
programs call and we do not."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .type_defs import S3ConnectionOptions


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """All None: requests are not signed with keys of ours, the store looks for others itself."""

    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@runtime_checkable
class CredentialProvider(Protocol):
    """Asked when a store is opened; has to be picklable where processes are used."""

    def resolve(self) -> S3Credentials: ...


@dataclass(frozen=True, slots=True)
class StaticCredentialProvider:
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)

    def resolve(self) -> S3Credentials:
        return S3Credentials(self.access_key_id, self.secret_access_key, self.session_token)


@dataclass(frozen=True, slots=True)
class EnvCredentialProvider:
    """From the environment: each of the three from S3_… first, then from AWS_…."""

    def resolve(self) -> S3Credentials:
        return S3Credentials(*(os.environ.get(f"S3_{name}") or os.environ.get(f"AWS_{name}")
                               for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")))


def materialize_env_file(creds: S3Credentials, *, connection_options: S3ConnectionOptions | None = None) -> str:
    """Writes the credentials to a new file of `NAME=value` lines that only this user can read, for tools that want one.

    Returns its path; `remove_env_file` removes it.
    """
    options = connection_options or {}
    lines = {"AWS_ACCESS_KEY_ID": creds.access_key_id, "AWS_SECRET_ACCESS_KEY": creds.secret_access_key,
             "AWS_SESSION_TOKEN": creds.session_token, "AWS_ENDPOINT_URL": options.get("endpoint_url"),
             "AWS_REGION": options.get("region_name")}
    for name, value in lines.items():
        if value is not None and any(end in value for end in "\r\n\0"):
            raise ValueError(f"the value for {name} has a line break")
    handle, path = tempfile.mkstemp(prefix="shardyfusion-", suffix=".env")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in lines.items() if value is not None)
    return path


def remove_env_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def read_env_file(path: str) -> dict[str, str]:
    """The `NAME=value` lines of a file; empty ones and those that begin with # are passed over, quotes around a value fall away."""
    found: dict[str, str] = {}
    with open(path, encoding="utf-8") as file:
        for line in map(str.strip, file):
            name, equals, value = line.removeprefix("export ").partition("=")
            if equals and not line.startswith("#"):
                value = value.strip()
                quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
                found[name.strip()] = value[1:-1] if quoted else value
    return found


def credentials_of_env_file(path: str) -> tuple[S3Credentials, S3ConnectionOptions]:
    """What an env file says about a bucket, with the names that EnvCredentialProvider knows."""
    said = read_env_file(path)

    def either(*names: str) -> str | None:
        return next((said[name] for name in names if said.get(name)), None)

    options: S3ConnectionOptions = {}
    if endpoint := either("SLATEDB_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        options["endpoint_url"] = endpoint
    if region := either("S3_REGION", "AWS_REGION"):
        options["region_name"] = region
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    return S3Credentials(*(either(f"S3_{name}", f"AWS_{name}") for name in names)), options


def resolve_env_file(env_file: str | None, credential_provider: CredentialProvider | None,
                     connection_options: S3ConnectionOptions | None = None) -> AbstractContextManager[str | None]:
    """A context with the path of an env file: `env_file` where it is given, else one made of the provider's credentials and removed
    at the end, else None."""
    if env_file is not None or credential_provider is None:
        return nullcontext(env_file)
    return _temporary_env_file(credential_provider.resolve(), connection_options)


@contextmanager
def _temporary_env_file(creds: S3Credentials, options: S3ConnectionOptions | None) -> Iterator[str]:
    path = materialize_env_file(creds, connection_options=options)
    try:
        yield path
    finally:
        remove_env_file(path)


_environment = threading.RLock()


@contextmanager
def apply_env_file(env_file: str | None) -> Iterator[None]:
    """A context in which the lines of an env file are in the environment of the process; afterwards it is as before. None: nothing changes.

    One thread at a time; threads that read the environment without this context see the change too.
    """
    if env_file is None:
        yield
        return
    said = read_env_file(env_file)
    with _environment:
        before = {name: os.environ.get(name) for name in said}
        os.environ.update(said)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
