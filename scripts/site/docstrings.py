"""Docstrings as this project writes them, turned into Markdown for the reference.

Parameters and fields stand as plain lines, ``name: what it is``, and lines that go on are indented.
They become a list. A name in single backticks that `dispytch` exports becomes a link.
"""

import re
from itertools import takewhile
from typing import Any

import griffe

import dispytch

_NAMED = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*): (?P<text>\S.*)")
_NAMES = re.compile(r"[\w.]+(?:, [\w.]+)*")
_INTRODUCTION = re.compile(r"(?P<text>[A-Z][\w ,]*):")
_SECTIONS = ("Raises", "Returns", "Yields", "Attributes", "Args", "Example", "Examples")
_SECTION_ITEM = re.compile(r"[\w.]+(, [\w.]+)*: ?.*|\s.*")
_EXPORTED = re.compile(rf"(?<![`\[])`({'|'.join(map(re.escape, dispytch.__all__))})`(?!`)")


class ParameterLists(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite its docstring."""
        if obj.docstring is not None:
            paragraphs = obj.docstring.value.split("\n\n")
            text = "\n\n".join(map(_paragraph, paragraphs))
            obj.docstring.value = _EXPORTED.sub(r"[`\1`][dispytch.\1]", text)


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if _is_list(lines):
        return _list(lines)
    parts: list[str] = []
    while lines:
        introduced = _introduced(lines)
        if introduced:
            parts.append(f"{lines[0]}\n\n" + _list([line[4:] for line in introduced]) + "\n")
        else:
            parts.append(lines[0])
        del lines[: 1 + len(introduced)]
    return "\n".join(parts)


def _introduced(lines: list[str]) -> list[str]:
    """The indented lines after a first line that introduces them, unless griffe can read them."""
    first = _INTRODUCTION.fullmatch(lines[0])
    if first is None:
        return []
    introduced = list(takewhile(lambda line: line.startswith("    "), lines[1:]))
    readable = all(_SECTION_ITEM.fullmatch(line[4:]) for line in introduced)
    return [] if first["text"] in _SECTIONS and readable else introduced


def _is_list(lines: list[str]) -> bool:
    items = [line for line in lines if not line.startswith(" ")]
    return bool(items) and all(map(_NAMED.fullmatch, items)) and not lines[0].startswith(" ")


def _list(lines: list[str]) -> str:
    return "\n".join(_item(line) for line in lines)


def _item(line: str) -> str:
    named = _NAMED.fullmatch(line)
    if named is None:
        name, colon, text = line.partition(": ")
        item = f"`{name}`: {text}" if colon and _NAMES.fullmatch(name) else line
        return line if line.startswith(" ") else f"- {item}"
    names = ", ".join(f"`{name}`" for name in named["names"].split(", "))
    return f"- {names}: {named['text']}"
