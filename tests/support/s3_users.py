"""Users of a versitygw that was started with Options(users=True), and what they may do in its bucket.

    reader = s3_users.add(server, "reader", "a secret")
    s3_users.allow(server, reader, [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::datashard/*"}])
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess

import s3_server
from s3_server_install import SERVERS, binary_of


def add(server: s3_server.Running, access_key: str, secret_key: str) -> s3_server.Running:
    """A new user, who may do nothing yet: the server as that user reaches it."""
    environment = {**os.environ, "ADMIN_ACCESS_KEY_ID": server.access_key, "ADMIN_SECRET_ACCESS_KEY": server.secret_key,
                   "ADMIN_ENDPOINT_URL": server.endpoint}
    done = subprocess.run([str(binary_of(SERVERS["versitygw"])), "admin", "create-user", "--access", access_key, "--secret", secret_key,
                           "--role", "user"], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr + done.stdout
    return dataclasses.replace(server, access_key=access_key, secret_key=secret_key)


def allow(server: s3_server.Running, user: s3_server.Running, statements: list[dict]) -> None:
    """Lets `user` do in the server's bucket what the statements of an IAM policy say, and nothing else; nobody else anything."""
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Principal": {"AWS": [user.access_key]}} for statement in statements]}
    status, body = s3_server.request(server, "PUT", f"/{server.bucket}", json.dumps(policy).encode(), query="policy=")
    assert status in (200, 204), body
