"""The pages of the documentation, and what is written in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`{]*)[^`]*")
_HEADING = re.compile(r"#{1,6}[ \t]+(?P<text>.+?)[ \t]*#*")
_LINK = re.compile(r"!?\[[^\]\[]*\]\((?P<target>[^()\s]+)\)")
_CODE = re.compile(r"`[^`]*`")
_PYTHON = ("python", "py", "python3")


@dataclass(frozen=True)
class Block:
    """A fenced block of code; ``line`` is the page's line that its first line stands on."""

    language: str
    line: int
    code: str


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the root of the repository, or the file's name if it is elsewhere."""
        return (
            str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else self.path.name
        )

    def blocks(self, *languages: str) -> list[Block]:
        """The blocks of code in these languages, in order."""
        return [block for block in self._parsed()[0] if block.language in languages]

    def programs(self) -> list[Block]:
        """The blocks of Python."""
        return self.blocks(*_PYTHON)

    def prose(self) -> list[str]:
        """The lines that are not in a block of code."""
        return self._parsed()[1]

    def links(self) -> list[str]:
        """The targets of all links in the prose."""
        text = _CODE.sub("", "\n".join(self.prose()))
        return [match["target"] for match in _LINK.finditer(text)]

    def anchors(self) -> set[str]:
        """The names under which links reach the page's headings, as GitHub makes them."""
        headings = (_HEADING.fullmatch(line) for line in self.prose())
        return {_anchor(heading["text"]) for heading in headings if heading}

    def _parsed(self) -> tuple[list[Block], list[str]]:
        blocks: list[Block] = []
        prose: list[str] = []
        lines = enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1)
        for number, line in lines:
            opening = _FENCE.fullmatch(line)
            if opening:
                code = "\n".join(_until_closed(self.name, number, opening, lines))
                blocks.append(Block(opening["language"].lower(), number + 1, code + "\n"))
            else:
                prose.append(line)
        return blocks, prose


def pages() -> list[Page]:
    """Every page whose blocks of Python are run."""
    patterns = ("README.md", "packages/*/README.md", "packages/*/CHANGELOG.md", "docs/**/*.md")
    return [Page(path) for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _until_closed(
    page: str, start: int, opening: re.Match[str], lines: Iterator[tuple[int, str]]
) -> Iterator[str]:
    indent, fence = opening["indent"], opening["fence"]
    for _, line in lines:
        text = line.strip()
        if text.startswith(fence) and not text.strip(fence[0]):
            return
        yield line.removeprefix(indent)
    raise ValueError(f"{page}:{start}: this block of code is never closed")


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
    return kept.replace(" ", "-")
