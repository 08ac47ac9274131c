"""The command reference as Markdown, written from the parser: `python -m procnet.cli.reference` prints it."""

from __future__ import annotations

import re
import sys
from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Sequence

from procnet.cli.main import parser


def reference(top: ArgumentParser) -> str:
    """Markdown: the options that every command has, each command with its own options, the exit codes."""
    commands = list(_commands(top))
    in_all = set.intersection(*[{_spelling(a) for a in _options(c)} for c in commands])
    common = [a for a in _options(commands[0]) if _spelling(a) in in_all]
    parts = [f"# Commands\n\n{top.description}", f"## Options of every command\n\n{_table(common)}"]
    for command in commands:
        own = [a for a in _options(command) if _spelling(a) not in in_all]
        parts.append(f"## {command.prog}\n\n{command.description}\n\n```text\n{_usage(command, own)}\n```")
        if rows := [*_arguments(command), *own]:
            parts.append(_table(rows))
        if command.epilog:
            parts.append(_exit_codes(command.epilog))
    return "\n\n".join([*parts, f"## Exit codes\n\n{_exit_codes(top.epilog or '')}"]) + "\n"


def _commands(command: ArgumentParser) -> Iterator[ArgumentParser]:
    """The parsers of all commands; a group such as `procnet sources` is replaced by its actions."""
    groups = [a for a in command._actions if isinstance(a, _SubParsersAction)]
    if not groups:
        yield command
    for group in groups:
        for parser_below in group.choices.values():
            yield from _commands(parser_below)


def _options(command: ArgumentParser) -> list[Action]:
    return [a for a in command._actions if a.option_strings and a.dest != "help"]


def _arguments(command: ArgumentParser) -> list[Action]:
    """The arguments without a dash, such as PATH."""
    return [a for a in command._actions if not a.option_strings]


def _spelling(action: Action) -> str:
    """`-v, --verbose`, `--chunk SIZE`, or the name of an argument."""
    value = f"{{{','.join(action.choices)}}}" if action.choices else str(action.metavar)
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _usage(command: ArgumentParser, own: Sequence[Action]) -> str:
    """One line: the command, required options, arguments."""
    words = [command.prog, *[_spelling(a) for a in own if a.required], "[options]"]
    repeated = {"*": "[{} ...]", "+": "{} ..."}
    return " ".join([*words, *[repeated.get(str(a.nargs), "{}").format(_spelling(a)) for a in _arguments(command)]])


def _table(actions: Sequence[Action]) -> str:
    rows = [f"| `{_spelling(a)}` | {str(a.help) % vars(a)} |" for a in actions]
    return "\n".join(["| option | meaning |", "|---|---|", *rows])


def _exit_codes(epilog: str) -> str:
    """The exit codes that a parser's epilog lists, as a table."""
    codes = re.findall(r"^ +(\d+) +(.+)$", epilog, re.MULTILINE)
    return "\n".join(["| exit code | meaning |", "|---|---|", *[f"| {code} | {text} |" for code, text in codes]])


if __name__ == "__main__":
    sys.stdout.write(reference(parser()))
