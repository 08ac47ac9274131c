"""Bad files that people write, and bad command lines: see case.py for how to add one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from bad_inputs.case import Case, Outcome, Reader
from bad_inputs.valid_files import DETECTION, EXCLUSION, EXPECTATIONS, SETTINGS, SOURCE
from cli.command import CommandResult, files_of, procnet
from procnet.cli.detect import exit_code_of
from procnet.runs.selection import select_detections, usable_exclusions
from procnet.settings import DetectionSettings, ExclusionSettings, Settings, default_conf_dir

Content = str | bytes | Callable[[Path], None]  # the last makes what is no plain file, at this path

GOOD_DETECTIONS = {"good": "windows_http_network_communication_from_msiexec.yml", "other": "msiexec_any_port.yml"}
GOOD_ID = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
GOOD_EXCLUSION = EXCLUSION.replace("id: bad", "id: good")


def _write(content: Content, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(file)
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def _detect(content: Content, folder: Path, stem: str = "bad") -> Outcome:
    """The bad file is enabled, and two good ones."""
    for name, file in GOOD_DETECTIONS.items():
        shutil.copy(default_conf_dir() / "detections" / file, folder / f"{name}.yml")
    _write(content, folder / f"{stem}.yml")
    settings = Settings(detections=DetectionSettings(folder=folder, enabled=("good", "other", "bad")))
    selection = select_detections(settings, [])
    run = [d.path.stem for d in selection.detections]
    return Outcome(exit_code_of(selection), selection.broken, {"good", "other"} <= set(run))


def _exclude(content: Content, folder: Path) -> Outcome:
    _write(GOOD_EXCLUSION, folder / "good.yml")
    _write(content, folder / "bad.yml")
    exclusions = ExclusionSettings(folder=folder, enabled=("good", "bad"))
    usable, problems = usable_exclusions(Settings(exclusions=exclusions), None)
    return Outcome(5 if problems else 0, problems, [e.id for e in usable] == ["good"])


def _command(*argv: str) -> Callable[[Content, Path], Outcome]:
    """Runs a command on the file; `BAD` in an argument is its path. Nothing else may be there after it."""

    def read(content: Content, folder: Path) -> Outcome:
        file = _write(content, folder / "bad.yml")
        before = files_of(folder)
        result = procnet(*(a.replace("BAD", str(file)) for a in argv))
        return Outcome(result.code, said_by(result), files_of(folder) == before)

    return read


def _lint(content: Content, folder: Path) -> Outcome:
    """The problems of another bad file are reported too."""
    _write(content, folder / "bad.yml")
    _write(DETECTION.replace("lookback: 24h", "lookback: soon"), folder / "other.yml")
    result = procnet("detections", "lint", "--set", f"detections.folder={folder}")
    other = f"{folder / 'other.yml'}: lookback: "
    said = said_by(result)
    of_file = [line for line in said if not line.startswith(other)]
    return Outcome(result.code, of_file, len(of_file) + 1 == len(said))


def _arguments(content: list[str], folder: Path) -> Outcome:
    (folder / "records.json").write_text("{}")
    before = files_of(folder)
    result = procnet(*(a.replace("FOLDER", str(folder)) for a in content))
    return Outcome(result.code, said_by(result), files_of(folder) == before)


def said_by(result: CommandResult) -> list[str]:
    """What a command that failed said on stderr, without its name, usage and hint."""
    lines = [line for line in result.err.splitlines() if not line.startswith(("usage: ", "  next: ", "   "))]
    if not lines:
        return []
    first, *others = lines
    return [first[first.index(": ") + 2 :].removeprefix("error: ") if ": " in first else first, *others]


DETECT = Reader("`detect`: a detection file", "the other detections run; `runs.broken` has the problem", _detect)
DETECT_NEW_LINE = Reader(DETECT.where, DETECT.rest, partial(_detect, stem="a\nb"))
EXCLUDE = Reader(
    "`detect`: an exclusion file", "the other exclusions apply; no finding is hidden by this one", _exclude
)
SET = Reader("any command: the settings", "nothing is run", _command("detections", "list", "--conf", "BAD"))
SHOW_SOURCE = Reader("`ingest`, `sources`: a mapping file", "nothing is read", _command("sources", "show", "BAD"))
REPLAY = Reader(
    "`replay`: an expectations file", "nothing is read", _command("replay", "BAD", "--source", "x", "--expect", "BAD")
)
LINT = Reader("`detections lint`", "the problems of the other files are listed too", _lint)
COMMAND = Reader("a command line", "nothing is run", _arguments)


def changed(valid: str, old: str, new: str) -> str:
    """A valid file with one change."""
    assert valid.count(old) == 1, old
    return valid.replace(old, new)


def detection(old: str, new: str) -> str:
    return changed(DETECTION, old, new)


def test_of(field: str) -> str:
    """A detection whose process block has this test."""
    return detection("{process_name: msiexec.exe}", f"{{{field}}}")


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{f'*{a}, ' * 6}]\n" for a, b in pairwise("abcdefghi"))

YAML_CASES = (
    # what the parser refuses
    Case("no YAML", DETECT, "a: [b", 5,
         "bad.yml: not readable as YAML: while parsing a flow sequence (line 1, column 4), expected ',' or ']', "
         "but got '<stream end>' (line 1, column 6)"),
    Case("a tab as indentation", DETECT, "process:\n\timage: x", 5,
         r"bad.yml: not readable as YAML: while scanning for the next token, found character '\t' that cannot "
         r"start any token (line 2, column 1)"),
    Case("a key that is written twice", DETECT, DETECTION + "version: 2\n", 5,
         "bad.yml: not readable as YAML: the key 'version' is written twice (line 1, column 1)"),
    Case("an empty file", DETECT, "", 5, "bad.yml: expected a mapping of keys to values (found nothing)"),
    Case("only comments", EXCLUDE, "# nothing\n", 5, "bad.yml: expected a mapping of keys to values (found nothing)"),
    Case("two documents", DETECT, DETECTION + "---\n" + DETECTION, 5,
         "bad.yml: expected one YAML document, found 2 separated by ---"),
    Case("a list as a key", DETECT, "? [a]\n: b", 5,
         "bad.yml: not readable as YAML: a list or mapping as a key: a key is text (line 1, column 3)"),
    Case("`!!int abc`", DETECT, detection("version: 1", "version: !!int abc"), 5,
         "bad.yml: not readable as YAML: 'abc' is no int (line 3, column 10)"),
    Case("a tag that would run code", EXCLUDE, "id: !!python/object/apply:os.system [id]", 5,
         "bad.yml: not readable as YAML: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object/apply:os.system' (line 1, column 5)"),
    Case("10,000 brackets", DETECT, "[" * 10_000, 5,
         "bad.yml: not readable as YAML: blocks or brackets are nested too deeply: more than 32 in each other "
         "(line 1, column 33)"),
    Case("10,000 brackets", SHOW_SOURCE, "[" * 10_000, 2,
         "bad.yml: not readable as YAML: blocks or brackets are nested too deeply: more than 32 in each other "
         "(line 1, column 33)"),
    Case("an alias bomb (billion laughs)", DETECT, BOMB, 5,
         "bad.yml: not readable as YAML: more than 50000 values, counting those that aliases repeat (line 7, "
         "column 8)"),
    Case("an alias bomb (billion laughs)", SET, BOMB, 2,
         "bad.yml: not readable as YAML: more than 50000 values, counting those that aliases repeat (line 7, "
         "column 8)"),
    Case("an alias inside of its own anchor", EXCLUDE, "findings: &a {b: *a}", 5,
         "bad.yml: not readable as YAML: *a stands inside of &a, and would have no end (line 1, column 18)"),
    Case("a file of 2 MiB", DETECT, "#" * (2 << 20), 5,
         "bad.yml: cannot be read: it is larger than 1048576 bytes, the most that is read"),
    Case("100,000 values", DETECT, f"a: [{'1,' * 100_000}]", 5,
         "bad.yml: not readable as YAML: more than 50000 values, counting those that aliases repeat (line 1, "
         "column 99999)"),
    Case("a text of 100,000 characters", EXCLUDE, f"reason: {'x' * 100_000}", 5,
         "bad.yml: not readable as YAML: a text of 100000 characters: at most 65536 are read (line 1, column 9)"),
    Case("a number of a million digits", SET, f"risk: {{score: 0x{'f' * 1_000_000}}}", 2,
         "bad.yml: not readable as YAML: a number of 1000002 characters: at most 100 are read (line 1, column 15)"),
    # what cannot be read
    Case("bytes that are no UTF-8", DETECT, DETECTION.encode() + b"# \xff", 5,
         "bad.yml: not readable as YAML: no UTF-8 at byte 459"),
    Case("UTF-16", EXCLUDE, GOOD_EXCLUSION.encode("utf-16"), 5,
         "bad.yml: not readable as YAML: no UTF-8 at byte 0: it is UTF-16; save it as UTF-8"),
    Case("NUL", DETECT, DETECTION + "# \0", 5,
         "bad.yml: not readable as YAML: the character U+0000 at position 459 is not allowed"),
    Case("a lone surrogate as an escape", DETECT, detection("a test", r'"\ud800"'), 5,
         "bad.yml: not readable as YAML: the character U+D800 is no text in UTF-8 that can be stored (line 5, "
         "column 14)"),
    Case("a folder named bad.yml", DETECT, Path.mkdir, 5, "bad.yml: cannot be read: it is a folder, no file"),
    Case("a FIFO", DETECT, lambda p: os.mkfifo(p), 5, "bad.yml: cannot be read: it is a device or a pipe, no file"),
    Case("no YAML, and a line break in the file's name", DETECT_NEW_LINE, "[", 5,
         r"a\nb.yml: not readable as YAML: while parsing a flow node (line 1, column 2), expected the node "
         r"content, but found '<stream end>' (line 1, column 2)"),
    Case("a link to nothing", EXCLUDE, lambda p: p.symlink_to("nowhere"), 5,
         "bad.yml: cannot be read: No such file or directory"),
    Case("a link to /dev/zero", SET, lambda p: p.symlink_to("/dev/zero"), 2,
         "bad.yml: cannot be read: it is a device or a pipe, no file"),
    # values of another kind
    Case("`description: 2026-02-30`", DETECT, detection("a test", "2026-02-30"), 0, "",
         "the detection runs: it is a text like any other"),
    Case("`version: 2026-01-01`", DETECT, detection("version: 1", "version: 2026-01-01"), 5,
         "bad.yml: version: Input should be a valid integer, unable to parse string as an integer (found "
         "'2026-01-01')"),
    Case("`lookback: 1:30`", DETECT, detection("24h", "1:30"), 5,
         "bad.yml: lookback: '1:30' is no duration: write a number and one of ms, s, m, h, d, w, such as 24h "
         "(found '1:30')"),
    Case("`name: 12`", DETECT, detection("bad one", "12"), 5,
         "bad.yml: name: expected text: put it in quotes (found 12)"),
    Case("`score: .nan`", DETECT, detection("35", ".nan"), 5,
         "bad.yml: risk.score: Input should be a finite number (found nan)"),
    Case("a version that no table could have", DETECT, detection("version: 1", "version: 9999999999"), 5,
         "bad.yml: version: Input should be less than or equal to 2147483647 (found 9999999999)"),
    Case("an unknown key", LINT, DETECTION + "lookbak: 1h\n", 2,
         "bad.yml: lookbak: Extra inputs are not permitted (found '1h')"),
    Case("1,000 unknown keys", LINT, DETECTION + "".join(f"k{i}: 1\n" for i in range(1000)), 2,
         "bad.yml: k0: Extra inputs are not permitted (found 1)\n...\nbad.yml: and 980 more problems"),
    Case("a key with a line break and a control sequence", DETECT, DETECTION + r'"a\n\e[31m": 1' + "\n", 5,
         r"bad.yml: a\n\x1b[31m: Extra inputs are not permitted (found 1)"),
    Case("the id of another file", DETECT, detection("00000002-0000-4000-8000-000000000000", GOOD_ID), 5,
         "good.yml: id b0fd38c7-f71a-43a2-870e-f3ca06bcdd99 is that of bad.yml too",
         "neither of the two runs: which is meant is not known; the other detections run", loses_a_good_one=True),
    Case("the id of another file", EXCLUDE, GOOD_EXCLUSION, 5,
         "good.yml: id good is that of bad.yml too; give it another id\nno exclusion 'bad' in .; there are none",
         "neither of the two applies", loses_a_good_one=True),
    Case("valid_from: 0001-01-01 with an offset", EXCLUDE,
         changed(EXCLUSION, "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"), 5,
         "bad.yml: valid_from: 0001-01-01T00:00:00+14:00 is not between 1970 and 2200 (found "
         "'0001-01-01T00:00:00+14:00')"),
    Case("`window.delay: -3600`", SET, changed(SETTINGS, "delay: 10m", "delay: -3600"), 2,
         "bad.yml: window.delay: a duration is not negative (found -3600)"),
    Case("`attribution.clock_skew: -1`", SET, changed(SETTINGS, "clock_skew: 2s", "clock_skew: -1"), 2,
         "bad.yml: attribution.clock_skew: a duration is not negative (found -1)"),
    Case("`maintenance.keep_runs: 999999d`", SET, changed(SETTINGS, "90d", "999999d"), 2,
         "bad.yml: maintenance.keep_runs: '999999d' is too long: a duration has at most 36500 days (found "
         "'999999d')"),
    Case("`lookback: 99999999999d`", DETECT, detection("24h", "99999999999d"), 5,
         "bad.yml: lookback: '99999999999d' is too long: a duration has at most 36500 days (found '99999999999d')"),
    Case("settings that are a list", SET, "- a\n- b\n", 2,
         "bad.yml: expected a mapping of keys to values (found ['a', 'b'])"),
    Case("a column that no source may fill", SHOW_SOURCE, changed(SOURCE, "dest_port: port", "finding_id: port"), 2,
         "bad.yml: events.connection.columns: finding_id: no canonical column that a source may fill (found "
         "{'name': 'Bad', 'description': 'a test', 'reader': 'json'...)"),
    Case("`like` of a source that is not there", SHOW_SOURCE, f"like: {'x' * 300}\n", 2,
         "bad.yml: like: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: no such source; known: ..."),
    Case("an expectation without a number", REPLAY, changed(EXPECTATIONS, "at_least: 1, ", ""), 2,
         "bad.yml: datasets.0.expect.0: how many? write exactly, at_least or at_most (found {'detection': "
         "'b0fd38c7', 'where': {'dest_port': 443}})"),
    Case("an expectation of an unknown detection", REPLAY,
         changed(EXPECTATIONS, "b0fd38c7, at_least", "nope, at_least"), 2,
         "bad.yml: datasets.0.expect.0.detection: no detection 'nope' among ..."),
    # predicates
    Case("an unknown field", DETECT, test_of("proces_name: a"), 5,
         "bad.yml: process.image.proces_name: there is no field proces_name; did you mean process_name?"),
    Case("`dest_port: eighty`", DETECT, detection("[80, 443]", "eighty"), 5,
         "bad.yml: network.web.dest_port: expected a number, found 'eighty'"),
    Case("a port beyond every port", DETECT, detection("[80, 443]", "99999999999"), 5,
         "bad.yml: network.web.dest_port: no value of the field is as large as 99999999999: at most 2147483647"),
    Case("`process_name|gt: 5`", DETECT, test_of("process_name|gt: 5"), 5,
         "bad.yml: process.image.process_name|gt: gt compares numbers, and process_name is no number"),
    Case("a list that is tested for text", EXCLUDE, changed(EXCLUSION, "dest_port: 443", "threat_objects: x"), 5,
         "bad.yml: findings.ours.threat_objects: threat_objects is a list, which can only be tested with exists"),
    Case("no network: `10.0.0.1/8`", DETECT, detection("dest_port: [80, 443]", "dest_ip|cidr: 10.0.0.1/8"), 5,
         "bad.yml: network.web.dest_ip|cidr: '10.0.0.1/8' has bits set behind its prefix: the network is "
         "10.0.0.0/8"),
    Case("60,000 stars", DETECT, test_of(f"command_line: 'a{'*' * 60_000}b'"), 5,
         "bad.yml: process.image.command_line: 'a*******************************************************... has "
         "60000 wildcards, at most 100 are accepted"),
    Case("10,001 values of a field", DETECT, test_of(f"process_name: [{','.join(f'a{i}' for i in range(10_001))}]"), 5,
         "bad.yml: process: condition 'image': more than 10000 tests of fields: split the detection"),
    Case("10,000 `not` in a condition", DETECT, detection("condition: image", f"condition: {'not ' * 10_000}image"), 5,
         "bad.yml: process: condition 'not not not not not not not not not not not not not not ...: more than 32 "
         "brackets or `not` in each other"),
    Case("10,000 brackets in a condition", DETECT, detection("condition: image", f"condition: {'(' * 10_000}image"), 5,
         "bad.yml: process: condition '((((((((((((((((((((((((((((((((((((((((((((((((((((((((...: more than 32 "
         "brackets or `not` in each other"),
    Case("a regular expression that Java has not", DETECT, test_of("command_line|re: '(?P<a>x)'"), 5,
         r"bad.yml: process.image.command_line|re: '(?P<a>x)': '(?P<a' differs between Java and Python; use "
         r"their common subset, and \ before a character that stands for itself"),
    Case("a regular expression that may never end", DETECT, test_of("command_line|re: '(a+)+$'"), 5,
         "bad.yml: process.image.command_line|re: '(a+)+$': '+' repeats a group that varies in length, which may "
         "never end on some texts: repeat single characters as in [ab]*, write several values, or lower its "
         "bounds"),
    Case("a regular expression that overflows the stack", DETECT, test_of("command_line|re: '(a|b)*$'"), 5,
         "bad.yml: process.image.command_line|re: '(a|b)*$': '*' repeats a group that varies in length, which "
         "may never end on some texts: repeat single characters as in [ab]*, write several values, or lower its "
         "bounds"),
    Case("a repeat beyond Java's and Python's", DETECT, test_of("command_line|re: 'a{99999999999}'"), 5,
         "bad.yml: process.image.command_line|re: 'a{99999999999}' is no regular expression: the repetition "
         "number is too large"),
)  # fmt: skip

COMMAND_CASES = (
    Case("`--host` with a byte that is no UTF-8", COMMAND, ["findings", "--host", os.fsdecode(b"ws-\xff")], 2,
         r"the argument 'ws-\udcff' is no text in UTF-8"),
    Case("`--host` with NUL", COMMAND, ["findings", "--host", "ws\0"], 2, r"the argument 'ws\x00' is no text in UTF-8"),
    Case("`--set window.length=2026-02-30`", COMMAND, ["status", "--set", "window.length=2026-02-30"], 2,
         "...local.yml: window.length: '2026-02-30' is no duration: write a number and one of ms, s, m, h, d, w, "
         "such as 24h (found '2026-02-30')"),
    Case("`--set =`", COMMAND, ["status", "--set", "="], 2, "--set '=' is no key=value"),
    Case("`--set window.length`", COMMAND, ["status", "--set", "window.length"], 2,
         "--set 'window.length' is no key=value"),
    Case("`--set` with 10,000 dots", COMMAND, ["status", "--set", f"{'a.' * 10_000}b=1"], 2,
         "--set 'a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....: no setting has so many dots in its "
         "key"),
    Case("`--set` with 10,000 brackets", COMMAND, ["status", "--set", f"risk={'[' * 10_000}"], 2,
         "--set 'risk=[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...: not readable as YAML: blocks or "
         "brackets are nested too deeply: more than 32 in each other (line 1, column 33)"),
    Case("`--set` of an unknown key", COMMAND, ["status", "--set", "windw.length=1h"], 2,
         "...local.yml: windw: Extra inputs are not permitted (found {'length': '1h'})"),
    Case("`--set window=[1h]`, then a key in it", COMMAND,
         ["status", "--set", "window=[1h]", "--set", "window.length=1h"], 2,
         "--set 'window.length=1h': window is a value, not a group of settings"),
    Case("`--start 2026-02-30`", COMMAND, ["findings", "--start", "2026-02-30", "--end", "2026-03-01"], 2,
         "'2026-02-30' is no time"),
    Case("a time without a zone", COMMAND,
         ["findings", "--start", "2026-03-01T08:00", "--end", "2026-03-01T09:00Z"], 2,
         "'2026-03-01T08:00' has no time zone"),
    Case("`--start` after `--end`", COMMAND,
         ["detect", "--start", "2026-03-02T00:00Z", "--end", "2026-03-01T00:00Z"], 2,
         "the window ends before it starts: 2026-03-02T00:00:00Z .. 2026-03-01T00:00:00Z"),
    Case("a period of all times", COMMAND,
         ["backfill", "--start", "0001-01-01T00:00Z", "--end", "9999-12-31T00:00Z"], 2,
         "0001-01-01T00:00:00+00:00 is not between 1970 and 2200"),
    Case("a time that no calendar has in UTC", COMMAND,
         ["detect", "--start", "0001-01-01T00:00+14:00", "--end", "2026-03-01T00:00Z"], 2,
         "0001-01-01T00:00:00+14:00 is not between 1970 and 2200"),
    Case("`--chunk soon`", COMMAND,
         ["backfill", "--start", "2026-03-01T00:00Z", "--end", "2026-03-02T00:00Z", "--chunk", "soon"], 2,
         "--chunk: 'soon' is no duration: write a number and one of ms, s, m, h, d, w, such as 24h"),
    Case("`--parallel` of 5,000 digits", COMMAND, ["backfill", "--gaps", "--parallel", "9" * 5000], 2,
         "argument --parallel: '999999999999999999999999999999999999999999999999999999999999' is not a whole "
         "number from 1 to 999999999"),
    Case("`--conf /dev/zero`", COMMAND, ["detections", "list", "--conf", "/dev/zero"], 2,
         "/dev/zero: cannot be read: it is a device or a pipe, no file"),
    Case("`--conf` that is not there", COMMAND, ["detections", "list", "--conf", "FOLDER/none.yml"], 2,
         "configuration none.yml does not exist"),
    Case("`--conf` with a name of 5,000 characters", COMMAND, ["detections", "list", "--conf", "x" * 5000], 2,
         "configuration x...x... does not exist"),
    Case("`--detection` with a name of 5,000 characters", COMMAND, ["detections", "show", "x" * 5000], 2,
         "no detection 'xx...; there are ..."),
    Case("a mapping file that is not there", COMMAND, ["sources", "show", "FOLDER/none.yml"], 2,
         "source file none.yml does not exist; known sources: ..."),
    Case("a source with a name of 5,000 characters", COMMAND, ["sources", "show", "x" * 5000], 2,
         "unknown source 'xx...; known sources: ..."),
    Case("an expectations file that is a folder", COMMAND, ["replay", "FOLDER/records.json", "--expect", "FOLDER"], 2,
         ".: cannot be read: it is a folder, no file"),
    Case("an unknown command", COMMAND, ["detekt"], 2, "argument COMMAND: invalid choice: 'detekt' ..."),
)  # fmt: skip

GROUPS: tuple[tuple[str, tuple[Case, ...]], ...] = (
    ("Files that people write", YAML_CASES),
    ("Command lines", COMMAND_CASES),
)
