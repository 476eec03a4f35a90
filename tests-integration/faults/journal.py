"""What handlers have done, in a file that outlives the process that wrote it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Mark = Literal["begun", "done", "cut"]
"""A handler has begun; has come to its end; was cancelled or has raised."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: which event, where it stood, in which process, and when.

    at: nanoseconds of the machine's monotonic clock, which all processes share.
    """

    mark: Mark
    key: str
    number: int
    pid: int
    at: int
    stream: str
    position: int


class Journal:
    """Appends entries: each is one write, so that a killed process leaves whole lines behind."""

    def __init__(self, path: Path) -> None:
        self._file: Final = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._pid: Final = os.getpid()

    def note(self, mark: Mark, key: str, number: int, stream: str, position: int) -> None:
        """Write one line."""
        line = (
            f"{mark}\t{key}\t{number}\t{self._pid}\t{time.monotonic_ns()}\t{stream}\t{position}\n"
        )
        os.write(self._file, line.encode())


class JournalReader:
    """Reads what was appended since the last reading, and keeps all of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: list[Entry] = []
        self._read = 0
        path.touch()

    def entries(self) -> list[Entry]:
        """All entries so far, in the order in which they were written."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        self._entries += [_entry(line) for line in whole.decode().splitlines()]
        return self._entries


def _entry(line: str) -> Entry:
    mark, key, number, pid, at, stream, position = line.split("\t")
    if mark not in ("begun", "done", "cut"):
        raise ValueError(f"no journal line: {line!r}")
    return Entry(mark, key, int(number), int(pid), int(at), stream, int(position))  # type: ignore[arg-type]
