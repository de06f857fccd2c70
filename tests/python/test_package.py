"""The package as a name: its modules are there without importing each."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["iceberg.Table", "filters.FilterOp", "file_manager.FileManager", "data_structures.DataFile",
                                  "metadata_manager.MetadataManager", "snapshot_manager.SnapshotManager"])
def test_modules_are_attributes_of_the_package(name):
    program = f"import datashard; print(datashard.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == name.split(".")[1], done.stderr


def test_a_name_that_does_not_exist_is_no_attribute():
    import datashard

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        datashard.nonsense
    assert "file_manager" in dir(datashard)


def test_importing_it_loads_no_second_openssl():
    """The Arrow libraries bring OpenSSL's symbols; a libcrypto loaded after them would call theirs (hashlib crashed)."""
    code = ("import datashard\n"
            "assert 'libcrypto' not in open('/proc/self/maps').read()\n"
            "import hashlib\n"
            "assert hashlib.new('sha256', b'').hexdigest().startswith('e3b0c442')\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
