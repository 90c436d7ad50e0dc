# Copyright (c) mmdiffkd contributors.
"""Every error message of the package, read from its sources.

A message is what an error is given, and what the rules of ``utils/explain``
return. Values that a message is filled with are shown as an ellipsis.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / 'mmdiffkd'
PAGE = ROOT / 'docs/en/troubleshooting.md'
_PLACES = re.compile(r'^<!-- generated: messages (.+) -->$', re.MULTILINE)
# What a user is told; others are defects, or do not leave the code.
ERRORS = {
    'ConfigKindError',
    'ConfigNameError',
    'DoesNotApply',
    'NonFiniteLossError',
    'UserError',
    'ValueError',
}
RULES = 'utils/explain/'
GAP = '\N{HORIZONTAL ELLIPSIS}'
"""Stands for a value."""


class Message(NamedTuple):
    """A message with gaps, and the file that it comes from."""

    text: str
    file: str


def fits(message: str, said: str) -> bool:
    """Whether what was said is a message with its gaps filled.

    Args:
        message (str): With gaps.
        said (str): What a command printed.

    Returns:
        bool: White space does not count.
    """
    parts = [re.escape(part) for part in message.split(GAP)]
    return re.search('.*?'.join(parts), ' '.join(said.split())) is not None


@cache
def messages() -> tuple[Message, ...]:
    """All of them, by file, each once in a file."""
    trees = {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
        for path in sorted(PACKAGE.rglob('*.py'))
        if '.mim' not in path.parts
    }
    named = {}
    for tree in trees.values():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                named[node.name] = list(_returned(node))
            elif isinstance(node, ast.Assign):
                named[ast.unparse(node.targets[0])] = [node.value]
    found = {}
    for file, tree in trees.items():
        for node in _said(tree, file, named):
            text = ' '.join(_text(node).split())
            text = re.sub(rf'{GAP}(\s*{GAP})+', GAP, text)
            # What is nearly all values is another message, passed on.
            if len(re.findall(r'\w{2,}', text)) >= 2:
                found[Message(text, file)] = True
    return tuple(found)


def _said(
    tree: ast.Module, file: str, named: dict[str, list[ast.expr]]
) -> Iterator[ast.expr]:
    """What errors are given in a file, and what its rules return."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if getattr(node.exc.func, 'id', '') in ERRORS and node.exc.args:
                yield from _meant(node.exc.args[0], tree, named)
            elif 'ArgumentError' in ast.unparse(node.exc.func):
                yield from _meant(node.exc.args[1], tree, named)
        elif (
            file.startswith(RULES)
            and isinstance(node, ast.Return)
            and node.value is not None
        ):
            yield from _meant(node.value, tree, named)


def _meant(
    node: ast.expr, tree: ast.Module, named: dict[str, list[ast.expr]]
) -> Iterator[ast.expr]:
    """The strings that an expression may be, wherever they are written."""
    if isinstance(node, ast.IfExp):
        yield from _meant(node.body, tree, named)
        yield from _meant(node.orelse, tree, named)
    elif isinstance(node, ast.Name):
        own = [
            part.value
            for part in ast.walk(tree)
            if isinstance(part, ast.Assign)
            and ast.unparse(part.targets[0]) == node.id
        ]
        yield from own or named.get(node.id, [])
    elif isinstance(node, ast.Call):
        # A function that writes the message, or CONSTANT.format(...).
        yield from named.get(ast.unparse(node.func).split('.')[0], [])
    else:
        yield node


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            yield node.value


def _text(node: ast.expr) -> str:
    """A string as it is written, with a gap for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r'\{[^}\']*\}', GAP, node.value)
    if isinstance(node, ast.JoinedStr):
        return ''.join(map(_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return GAP


def message_list(*places: str) -> str:
    """The messages of some files, as a list.

    Args:
        *places (str): How the names of the files begin; none for those that
            no other list of the page has.

    Returns:
        str: Markdown.
    """
    taken = () if places else tuple(_PLACES.findall(PAGE.read_text()))
    others = tuple(' '.join(taken).split())
    texts = {
        message.text: True
        for message in messages()
        if message.file.startswith(places or '')
        and not (others and message.file.startswith(others))
    }
    return '\n'.join(f'* {_code(text)}' for text in texts)


def _code(text: str) -> str:
    return f'`` {text} ``' if '`' in text else f'`{text}`'
