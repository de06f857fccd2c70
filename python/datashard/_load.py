"""Loads the extension module `_core`.

It needs the Arrow libraries inside the pyarrow wheel. Installed beside pyarrow it finds them by itself, without pyarrow
being imported, which is ten times as slow. Elsewhere the libraries are found once pyarrow has loaded them.
"""

from __future__ import annotations

WANTED = "24.0"


def _complain(cause: ImportError) -> ImportError:
    try:
        from importlib.metadata import version

        found = f"found {version('pyarrow')}"
    except ImportError:
        found = "found none"
    return ImportError(f"datashard needs pyarrow {WANTED}.x, {found}: pip install 'pyarrow=={WANTED}.*' ({cause})")


try:
    from . import _core as core
except ImportError as first:
    if "libarrow" not in str(first) and "libparquet" not in str(first):
        raise
    try:
        import pyarrow  # noqa: F401

        from . import _core as core
    except ImportError:
        raise _complain(first) from first
