"""Sharding expressions give what the CEL implementation of other readers gives (cel-expr-python), or are refused."""

from __future__ import annotations

import bisect
import random
import struct
import subprocess
from pathlib import Path

import pytest

cel = pytest.importorskip("cel_expr_python.cel", reason="the package cel-expr-python is not installed: run `make setup`")

TOOL = Path(__file__).resolve().parents[2] / "build/release/tests/cel_tool"
INVALID_ARGUMENT, UNSUPPORTED = 0, 9  # of enum ErrorKind
TYPES = {"int": cel.Type.INT, "uint": cel.Type.UINT, "string": cel.Type.STRING, "bytes": cel.Type.BYTES,
         "double": cel.Type.DOUBLE, "bool": cel.Type.BOOL}
COLUMNS = {"i": "int", "j": "int", "u": "uint", "s": "string", "p": "string", "b": "bytes", "d": "double", "t": "bool"}
# The package cuts bytes at a NUL, so there is none among them.
VALUES = {
    "int": [0, 1, -1, 5, -7, 42, 10**12, 2**53 + 1, 2**63 - 1, -2**63],
    "uint": [0, 1, 3, 8, 2**32, 2**63 - 1, 2**63, 2**64 - 1],
    "string": ["", "a", "abc", "b", "héllo", "\U0001f600", "￯", "7", "-12", " 3 ", "1e3", "true", "F", "2.50", "0x10", "inf"],
    "bytes": [b"", b"a", b"abc", b"\xff\xfe", "é".encode(), b"7"],
    "double": [0.0, -0.0, 1.0, 2.5, -2.5, 0.1, 1e6, 123456.789, 1e-5, 1e20, 9007199254740993.0, -9.3e18, 1.8e19, 5e-324, 1.7e308],
    "bool": [True, False],
}


class Tool:
    def __init__(self):
        self.process = subprocess.Popen([str(TOOL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words: str):
        """An int, text or bytes; or (kind, message) of an error."""
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        kind, *rest = self.process.stdout.readline().rstrip("\n").split(" ")
        if kind == "int":
            return int(rest[0])
        if kind == "error":
            return int(rest[0]), bytes.fromhex(rest[1]).decode()
        value = bytes.fromhex(rest[0])
        return value.decode() if kind == "text" else value

    def eval(self, expression: str, columns: dict[str, str], row: dict):
        return self.ask("eval", expression.encode().hex(), *(f"{name}={spelled(kind, row[name])}" for name, kind in columns.items()))


def spelled(kind: str, value) -> str:
    if value is None:
        return f"{kind}:-"
    if isinstance(value, bool):
        return f"{kind}:{int(value)}"
    if isinstance(value, str):
        return f"{kind}:{value.encode().hex()}"
    return f"{kind}:{value.hex()}" if isinstance(value, bytes) else f"{kind}:{value!r}"


@pytest.fixture(scope="module")
def tool():
    assert TOOL.exists(), f"{TOOL} does not exist: run `make build`"
    tool = Tool()
    yield tool
    tool.process.stdin.close()
    assert tool.process.wait(60) == 0


class Peer:
    def __init__(self, tool: Tool, columns: dict[str, str]):
        def hash_of(kind):
            def shard_hash(value):
                answer = tool.ask("hash", spelled(kind, bytes(value) if kind == "bytes" else value))
                if isinstance(answer, tuple):
                    raise ValueError(answer[1])
                return answer
            return shard_hash

        overloads = [cel.Overload(f"shard_hash_{kind}", cel.Type.UINT, [TYPES[kind]], impl=hash_of(kind)) for kind in ("int", "uint", "string", "bytes")]
        self.env = cel.NewEnv(variables={name: TYPES[kind] for name, kind in columns.items()},
                              functions=[cel.FunctionDecl("shard_hash", overloads)])

    def compile(self, expression: str):
        """The compiled expression, or None where it is refused."""
        try:
            compiled = self.env.compile(expression)
        except Exception:
            return None
        return compiled if compiled.return_type().name() in ("INT", "UINT", "STRING", "BYTES") else None


def value_of(compiled, row):
    """The result; None where there is none."""
    try:
        result = compiled.eval(data=row)
    except Exception:
        return None
    if result.type().name() == "ERROR":
        return None
    value = result.value()
    return bytes(value) if isinstance(value, bytearray) else value


class Expressions:
    """Random expressions, most of them well typed."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def row(self) -> dict:
        return {name: self.random.choice(VALUES[kind]) for name, kind in COLUMNS.items()}

    def whole(self) -> str:
        kind = self.random.choice(["int", "int", "uint", "string", "bytes", "bool", "double"])
        inner = self.make(kind, self.random.randint(1, 4))
        return {"bool": f"({inner}) ? 1 : 0", "double": f"string({inner})"}.get(kind, inner)

    def make(self, kind: str, depth: int) -> str:
        pick = self.random
        if pick.random() < 0.01:
            kind = pick.choice(list(TYPES))
        if depth == 0 or pick.random() < 0.15:
            return self.leaf(kind)
        if pick.random() < 0.15:
            return f"({self.make('bool', depth - 1)} ? {self.make(kind, depth - 1)} : {self.make(kind, depth - 1)})"
        return getattr(self, f"make_{kind}")(depth - 1)

    def leaf(self, kind: str) -> str:
        names = [name for name, of in COLUMNS.items() if of == kind]
        return self.random.choice(names) if self.random.random() < 0.6 else self.literal(kind, self.random.choice(VALUES[kind]))

    def literal(self, kind: str, value) -> str:
        if kind == "uint":
            return self.random.choice([f"{value}u", f"0x{value:x}U"])
        if kind == "bool":
            return "true" if value else "false"
        if kind == "double":
            return repr(value)
        if kind == "int":
            return f"({value})" if self.random.random() < 0.5 else str(value)
        text = value if kind == "string" else "".join(f"\\x{byte:02x}" for byte in value)
        quote = self.random.choice(['"', "'", '"""', "'''"])
        return ("b" if kind == "bytes" else self.random.choice(["", "r"])) + quote + text + quote

    def comparison(self, depth: int) -> str:
        kind = self.random.choice(list(TYPES))
        sign = self.random.choice(["<", "<=", ">", ">=", "==", "!="])
        return f"{self.make(kind, depth)} {sign} {self.make(kind, depth)}"

    def make_bool(self, depth: int) -> str:
        kind = self.random.choice(list(TYPES))
        return self.random.choice([
            lambda: f"({self.comparison(depth)})",
            lambda: f"({self.make('bool', depth)} && {self.make('bool', depth)} || {self.make('bool', depth)})",
            lambda: f"({self.make('bool', depth)} || {self.make('bool', depth)} || {self.make('bool', depth)})",
            lambda: f"!({self.make('bool', depth)})",
            lambda: f"({self.make(kind, depth)} in [{', '.join(self.make(kind, depth) for _ in range(self.random.randint(0, 4)))}])",
            lambda: f"{self.make('string', depth)}.{self.random.choice(['startsWith', 'endsWith', 'contains'])}({self.make('string', depth)})",
            lambda: f"bool({self.make('string', depth)})",
        ])()

    def number(self, kind: str, depth: int) -> str:
        signs = ["+", "-", "*", "/"] + ([] if kind == "double" else ["%"])
        other = self.random.choice(["int", "uint", "double", "string"])
        return self.random.choice([
            lambda: f"({self.make(kind, depth)} {self.random.choice(signs)} {self.make(kind, depth)})",
            lambda: f"{self.make(kind, depth)} {self.random.choice(signs)} {self.make(kind, depth)} {self.random.choice(signs)} {self.make(kind, depth)}",
            lambda: f"{kind}({self.make(other, depth)})",
        ])()

    def make_int(self, depth: int) -> str:
        if self.random.random() < 0.2:
            return f"-{self.make('int', depth)}"
        if self.random.random() < 0.2:
            kind = self.random.choice(["string", "bytes"])
            return self.random.choice([f"size({self.make(kind, depth)})", f"({self.make(kind, depth)}).size()"])
        return self.number("int", depth)

    def make_uint(self, depth: int) -> str:
        if self.random.random() < 0.4:
            kind = self.random.choice(["int", "uint", "string", "bytes"])
            return f"shard_hash({self.make(kind, depth)}) % {self.random.choice(['8u', '3u', '0u', '1000u'])}"
        return self.number("uint", depth)

    def make_double(self, depth: int) -> str:
        return self.number("double", depth)

    def make_string(self, depth: int) -> str:
        if self.random.random() < 0.5:
            return f"{self.make('string', depth)} + {self.make('string', depth)}"
        return f"string({self.make(self.random.choice(list(TYPES)), depth)})"

    def make_bytes(self, depth: int) -> str:
        return self.random.choice([f"{self.make('bytes', depth)} + {self.make('bytes', depth)}", f"bytes({self.make('string', depth)})"])


@pytest.mark.parametrize("seed", range(8))
def test_random_expressions_give_the_same_for_random_rows(tool, seed):
    expressions, peer = Expressions(seed), Peer(tool, COLUMNS)
    refused = failed = equal = 0
    for _ in range(150):
        expression = expressions.whole()
        compiled = peer.compile(expression)
        for _ in range(4):
            row = expressions.row()
            answer = tool.eval(expression, COLUMNS, row)
            if compiled is None:
                assert isinstance(answer, tuple), f"{expression} is refused by the other, here it gives {answer!r}"
                refused += 1
                break
            wanted = value_of(compiled, row)
            if isinstance(answer, tuple) and answer[0] == UNSUPPORTED:
                assert "a list of several types" in answer[1]
                refused += 1
            elif wanted is None:
                assert isinstance(answer, tuple) and answer[0] == INVALID_ARGUMENT, f"{expression} has no value for {row}; {answer!r}"
                failed += 1
            else:
                assert answer == wanted and type(answer) is type(wanted), f"{expression} for {row}: {wanted!r}"
                equal += 1
    assert equal > 200 and failed > 10 and refused < 100


EDGES = r"""
i--1 | ---5 | --5 | - 9223372036854775808 | --9223372036854775808 | -0x8000000000000000 | 0x8000000000000000 | 0X1F | 1. | .5 | 5.size() | 'x'.size()
t ? 1 : t ? 2 : 3 | t ? t ? 1 : 2 : 3 | (1 < 2 == true) ? 1 : 2 | i ? 1 : 2 | t ? 1 : 2u | (i in [1, 5,]) ? 1 : 0 | (i in []) ? 1 : 0 | i in [1u] ? 1 : 0
"\a\b\f\n\r\t\v\\\?\"\'\`" | "\x41\u00e9\U0001F600\101" | "\xff" | "\400" | "\8" | "\q" | "\ud800" | "\U00110000" | "\x4" | "\X41" | b"\xff\377A" | b"\u00e9" | b"é"
r"\n" | bR'\n' | rb'n' | '''x'y''' | r'a\' | r'it\'s' | "a'b" | '' | ''''a\''''' | shard_hash() | s.shard_hash() | .i | ..i | .shard_hash(i) | i.j | foo(1)
s .size() | size (s) | startsWith(s, 'h') | b.startsWith(b'a') ? 1 : 2 | if | in | zz | i i | (i | i) | [1 | i, | 1;2 | i # j | null | null == null ? 1 : 0 | s + b | s * 2
-!t | !-i | !!t ? 1 : 0 | -u | !5 | int(true) | bytes(5) | bool(1) ? 1 : 0 | int(9223372036854775807.0) | int(-9223372036854775808.0) | uint(-0.5) | uint(-0.0)
int(' 5 ') | int('+-5') | int('5 5') | string(double('-inf')) | string(double('1e400')) | string(double('-1e-400')) | string(double('0x1p4')) | string(double('0x'))
string(double('infinity')) | string(double('1e')) | string(double('+.5e1')) | string(double('++1')) | string(double('\t1\n')) | string(double('1_0')) | string(1e400)
string(5e-324) | string(100000.0) | string(1000000.0) | string(0.0001) | string(0.00001) | string(123456789012345680.0) | i // comment | 1u2 | 1a | 01 + 08
""".replace("\n", " | ").split(" | ")


@pytest.mark.parametrize("expression", [edge.strip() for edge in EDGES if edge.strip()])
def test_edges_of_the_language_are_where_they_are_elsewhere(tool, expression):
    row = {"i": 5, "j": -7, "u": 3, "s": "héllo", "p": "p", "b": b"\xff", "d": 2.5, "t": True}
    compiled = Peer(tool, COLUMNS).compile(expression)
    answer = tool.eval(expression, COLUMNS, row)
    wanted = value_of(compiled, row) if compiled else None
    if wanted is None:
        assert isinstance(answer, tuple) and answer[0] in (INVALID_ARGUMENT, UNSUPPORTED), answer
    else:
        assert answer == wanted


@pytest.mark.parametrize("expression", ["s.matches('h.*') ? 1 : 2", "[1, 2].exists(x, x == i) ? 1 : 2", "{'a': 1}['a']", "dyn(i) == 5u ? 1 : 2",
                                        "i in [1, 'a'] ? 1 : 2", "size([1, 2])", "timestamp('2020-01-01T00:00:00Z').getFullYear()", "type(i) == int ? 1 : 2"])
def test_the_rest_of_cel_is_named_and_left_to_the_python_reader(tool, expression):
    assert Peer(tool, COLUMNS).compile(expression) is not None
    kind, message = tool.eval(expression, COLUMNS, dict.fromkeys(COLUMNS))
    assert kind == UNSUPPORTED and "cel-expr-python" in message and "line 1" in message


@pytest.mark.parametrize("missing", list(COLUMNS))
def test_a_null_fails_where_it_is_read_and_only_there(tool, missing):
    peer = Peer(tool, COLUMNS)
    row = {name: VALUES[kind][1] for name, kind in COLUMNS.items()} | {missing: None}
    for expression in [f"({name} == {name}) ? 1 : 0" for name in COLUMNS] + [f"({missing} == {missing} || 1 == 1) ? 1 : 0"]:
        answer, wanted = tool.eval(expression, COLUMNS, row), value_of(peer.compile(expression), row)
        assert answer == wanted if wanted is not None else isinstance(answer, tuple), expression


def range_cases():
    pick = random.Random(4)
    for count in (0, 1, 2, 3, 63, 1023):
        yield "int", sorted(pick.sample(range(-10**6, 10**6), count))
    yield "int", [-2**63, -1, 0, 2**63 - 1]
    yield "double", [-1e300, -2.5, -0.0, 0.5, 2.0**53 + 2, 1e300]
    yield "double", sorted(struct.unpack("<d", struct.pack("<q", pick.randrange(2**62)))[0] % 1e6 for _ in range(50))
    yield "string", sorted(["a\"b", "\\", "\x01", "é", "￮", "\U0001f600", "", "zz", "a\nb"])


@pytest.mark.parametrize(("kind", "boundaries"), list(range_cases()))
def test_range_trees_route_elsewhere_as_they_do_here(tool, kind, boundaries):
    boundaries = sorted(set(boundaries))
    expression = tool.ask("range", *(spelled(kind, boundary) for boundary in boundaries))
    column = {"key": "string" if kind == "string" else "int"}
    compiled = Peer(tool, column).compile(expression)
    if kind == "string":
        keys = [key for boundary in boundaries for key in (boundary, boundary + "a", boundary[:-1])]
    else:
        inside = [int(boundary) for boundary in boundaries if abs(boundary) < 2**63]
        keys = [key for number in [*inside, 0, 2**63 - 2, -2**63 + 1] for key in (number - 1, number, number + 1) if -2**63 <= key < 2**63]
    for key in keys:
        shard = bisect.bisect_right(boundaries, key)
        assert value_of(compiled, {"key": key}) == shard, key
        assert tool.eval(expression, column, {"key": key}) == shard, key


def test_4096_shards_fit_the_100_000_characters_that_others_take(tool):
    boundaries = list(range(0, 4095 * 10**6, 10**6))
    expression = tool.ask("range", *(spelled("int", boundary) for boundary in boundaries))
    assert len(expression) <= 100_000
    compiled = Peer(tool, {"key": "int"}).compile(expression)
    assert value_of(compiled, {"key": 777_123_456}) == 778
