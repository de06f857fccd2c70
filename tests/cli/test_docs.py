"""docs/cli.md against the command: every option is there, every exit code, and every example does what it shows."""
import re

from cli_harness import ROOT, Command

DOCS = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = ["create", "import", "append", "scan", "count", "info", "log", "version"]


def section(command: str) -> str:
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S)
    assert found, f"docs/cli.md has no section about {command}"
    return found[1]


def test_every_command_and_option_is_documented(cli: Command):
    listed = re.findall(r"^  (\w+) {2,}", cli.ok("--help").split("Commands:")[1].split("Exit codes:")[0], re.M)
    assert listed == COMMANDS
    for command in COMMANDS:
        options = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", cli.ok(command, "--help"), re.M)) - {"--help"}
        assert options, command
        missing = {option for option in options if not re.search(rf"{option}(?![a-z-])", section(command))}
        assert not missing, f"docs/cli.md, section {command}, does not mention {missing}"
    assert "`datashard --version`" in DOCS


def test_every_documented_option_exists(cli: Command):
    for command in COMMANDS:
        known = set(re.findall(r"(--[a-z-]+)", cli.ok(command, "--help")))
        table = set(re.findall(r"^\| `(--[a-z-]+)", section(command), re.M))
        assert table <= known, command


def test_exit_codes_are_those_of_help(cli: Command):
    told = re.findall(r"^ +(\d+)  (.+)$", cli.ok("--help").split("Exit codes:")[1], re.M)
    written = re.findall(r"^\| (\d+) \| (.+) \|$", section("Exit codes"), re.M)
    assert told == written and len(told) == 14


def normalised(text: str) -> str:
    """Without what differs from run to run."""
    for pattern, name in ((r"file://\S+", "LOCATION"), (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
                          (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"), (r" ?\*?\d{16,19}", " ID"),
                          (r"\(\d+\.\d kB\)", "SIZE"), (r"\d+\.\d s\b", "SECONDS")):
        if name == "TIME":
            text = text.replace("2024-01-01T00:00:00.000Z", "MIDNIGHT")  # a time that an example asks for
        text = re.sub(pattern, name, text)
    # A column is as wide as the longest id in it, and ids have 16 to 19 digits.
    text = re.sub("─+", "─", re.sub(" +", " ", text))
    return "\n".join(line.strip() for line in text.splitlines())


def test_normalised_takes_ids_of_any_length_for_the_same():
    short = "         snapshot  rows\n─────────────────  ────\n 1234567890123456     1\n"
    long = "            snapshot  rows\n────────────────────  ────\n 1234567890123456789     1\n"
    assert normalised(short) == normalised(long)
    assert normalised(short) != normalised(long.replace("     1", "     2"))


def test_the_examples_do_what_they_show(cli: Command):
    steps = []  # command text, what is shown after it
    for block in re.findall(r"^```console\n(.*?)^```$", DOCS, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append([line[2:], ""])
            elif line.startswith("> "):
                steps[-1][0] += "\n" + line[2:]
            else:
                steps[-1][1] += line + "\n"
    assert len(steps) > 10
    mark = "----8<----"
    script = "".join(f"{command}\necho '{mark}'\n" for command, _ in steps)
    answer = cli.on_terminal("bash", "-c", script, columns=100, NO_COLOR="1")
    shown = answer.out.split(mark + "\n")
    for (command, expected), got in zip(steps, shown):
        assert normalised(got) == normalised(expected), command
