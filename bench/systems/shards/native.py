"""build's libshards_native.so through ctypes, which lets go of the interpreter lock meanwhile."""

from __future__ import annotations

import ctypes
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[3] / "build/release/bench/native/libshards_native.so"


def load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(LIBRARY))
    text, number, pointer = ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p
    for name, arguments, answer in (
            ("bare_insert", (text, number, ctypes.c_int), ctypes.c_double),
            ("bare_lookup", (text, number, number, ctypes.c_uint64), ctypes.c_double),
            ("reader_open", (text, text), pointer),
            ("reader_close", (pointer,), None),
            ("reader_lookup", (pointer, number, number, ctypes.c_int, ctypes.c_uint64), ctypes.c_double),
            ("reader_open_cpu", (text, text, ctypes.c_uint64), ctypes.c_double)):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, answer
    return library


def checked(seconds: float) -> float:
    if seconds < 0:
        raise AssertionError("the native side found a wrong answer; it said which on standard error")
    return seconds
