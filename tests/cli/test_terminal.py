"""What a person sees: tables that fit, colour only where it is wanted, and progress that leaves nothing behind."""
import re

from cli_harness import ANSI


def test_a_table_is_aligned_and_numbers_are_to_the_right(people):
    answer = people.on_terminal(people.path, "scan", "people", NO_COLOR="1")
    assert answer.code == 0
    assert answer.out == ("id  name  score\n"
                          "──  ────  ─────\n"
                          " 1  Ann     1.5\n"
                          " 2  Bob    null\n"
                          " 3         -2.0\n"
                          "3 rows\n")


def test_colour_is_for_terminals_that_want_it(people):
    assert "\x1b[" in people.on_terminal(people.path, "scan", "people").out
    assert "\x1b[" in people.on_terminal(people.path, "scan", "people", NO_COLOR="").out
    assert "\x1b[" not in people.on_terminal(people.path, "scan", "people", NO_COLOR="1").out
    assert "\x1b[" not in people.on_terminal(people.path, "scan", "people", TERM="dumb").out
    assert "\x1b[" not in people.ok("scan", "people", "--format", "table")
    coloured = people.on_terminal(people.path, "scan", "people").out
    assert ANSI.sub("", coloured) == people.on_terminal(people.path, "scan", "people", NO_COLOR="1").out


def test_long_texts_are_shortened_on_a_terminal_only(people):
    people.ok("append", "people", stdin='{"id":4,"name":"%s","score":123456789.25}\n' % ("long " * 50))
    for columns in (30, 40, 79):
        out = people.on_terminal(people.path, "scan", "people", columns=columns, NO_COLOR="1").out
        assert all(len(line) <= columns for line in out.splitlines()[:-1]), out
        assert "…" in out and "123456789.25" in out
    assert "…" not in people.ok("scan", "people", "--format", "table")


def test_columns_that_do_not_fit_are_counted(cli):
    names = [f"column_{i}" for i in range(20)]
    cli.ok("create", "wide", "--schema", ",".join(f"{name}:long" for name in names))
    out = cli.on_terminal(cli.path, "scan", "wide", columns=60, NO_COLOR="1").out
    assert out.splitlines()[0].split() == names[:6]
    assert "0 rows, 14 more columns (--columns or --format jsonl shows them)" in out


def test_values_cannot_send_commands_to_the_terminal(people):
    people.ok("append", "people", stdin='{"id":4,"name":"\\u001b[2J\\u0007\\u009b1m\\u202ex\\n"}\n')
    out = people.on_terminal(people.path, "scan", "people", "--where", "id = 4", NO_COLOR="1").out
    assert "\\x1b[2J\\x07\\x9b1m\\u202ex\\n" in out
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out


def test_json_and_formats_can_be_asked_for(people):
    assert people.on_terminal(people.path, "scan", "people", "--json", "--limit", "1").out == '{"id":1,"name":"Ann","score":1.5}\n'
    assert people.on_terminal(people.path, "count", "people").out == "3\n"
    assert people.on_terminal(people.path, "info", "people", "--json").out.startswith('{"table":"people"')
    assert people.on_terminal(people.path, "log", "people", "--json").out.count("\n") == 2


def test_append_without_input_does_not_wait_for_a_person(people):
    answer = people.on_terminal(people.path, "append", "people")
    assert answer.code == 2 and "pipe rows into standard input" in answer.out


def test_long_imports_show_progress_and_remove_it(cli):
    with open(cli.directory / "x.csv", "w") as file:
        file.write("id,text\n")
        file.writelines(f"{i},some text of row {i}\n" for i in range(200_000))
    # 800 durable commits take longer than the half second after which progress is shown, on any disk.
    answer = cli.on_terminal(cli.path, "import", "t", "x.csv", "--batch-rows", "250", columns=100)
    assert answer.code == 0
    paints = [paint for paint in answer.out.split("\r") if paint.startswith("x.csv")]
    assert paints, answer.out
    assert all(re.match(r"x\.csv  \[=*>? *\]  [ \d]{3}%  [\d.]+ [kMG]?B/s  [\d,]+ rows(  ETA [\d:]+)?\x1b\[K", paint) for paint in paints)
    shown = answer.out.rsplit("\r\x1b[K", 1)[1]
    assert re.fullmatch(r"created t: 200,000 rows imported in 800 snapshots, [\d.]+ s( \([\d,]+ rows/s\))?\n", shown), answer.out


def test_progress_is_for_terminals_only(cli):
    (cli.directory / "x.jsonl").write_text("".join(f'{{"id":{i}}}\n' for i in range(60)))
    answer = cli.run("import", "t", "x.jsonl", "--batch-rows", "1")
    assert answer.code == 0 and answer.err == "" and answer.out.count("\n") == 1
    assert "\x1b" not in cli.on_terminal(cli.path, "import", "t", "x.jsonl", "--batch-rows", "1", TERM="dumb").out
