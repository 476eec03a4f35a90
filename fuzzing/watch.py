"""Time, memory and errors of every run of a target."""

import contextlib
import hashlib
import resource
import signal
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

from fuzzing.target import Finding, Target

_HANG: Final = 10.0
"""Seconds of processor time after which a run is cut off, where Python can be interrupted."""
_SLOW: Final = 0.25
_SLOW_PER_BYTE: Final = 1e-6
_HEAVY: Final = 48 * 1024
"""KiB by which one run may raise the peak of the process, and so many bytes more per byte."""
_HEAVY_PER_BYTE: Final = 100
_KEPT: Final = 20


@dataclass(slots=True)
class Watch:
    """Runs a target and takes note of what it finds; the run goes on.

    Findings of the same error at the same place are one.
    """

    target: Target
    folder: Path
    inputs: int = 0
    slowest: float = 0.0
    findings: dict[str, dict[str, str | int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signal.signal(signal.SIGPROF, _cut_off)
        _forget_peak()

    def __call__(self, data: bytes) -> None:
        """One input."""
        self.inputs += 1
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, _HANG)
        began = time.process_time()
        try:
            self.target.run(data)
            spent = time.process_time() - began
            self._check(data, spent, before)
        except Exception as error:
            self._note(error, data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _check(self, data: bytes, spent: float, before: int) -> None:
        self.slowest = max(self.slowest, spent)
        size = max(len(data), self.target.size)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown > _HEAVY + _HEAVY_PER_BYTE * size // 1024:
            _forget_peak()
            raise Finding(f"heavy: {grown // 1024} MiB")
        if spent > _SLOW + _SLOW_PER_BYTE * size:
            raise Finding(f"slow: {spent:.1f} s")

    def _note(self, error: Exception, data: bytes) -> None:
        kind = _kind(error)
        found = self.findings.get(kind)
        if found is not None:
            found["times"] = int(found["times"]) + 1
        elif len(self.findings) < _KEPT:
            name = f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(data)
            text = f"{type(error).__name__}: {str(error)[:200]!a}"
            self.findings[kind] = {"text": text, "place": kind, "file": name, "times": 1}


def _kind(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    # A finding is raised by the checks; what was run is one of those that came before.
    word = str(error).split(":")[0] if isinstance(error, Finding) else ""
    cause = error.__cause__ or error.__context__
    because = "" if cause is None else f" after {type(cause).__name__}"
    return f"{type(error).__name__}{because} {word} {Path(last.filename).name}:{last.lineno}"


def _forget_peak() -> None:
    """Have the peak of this process be what it holds now, where Linux can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _cut_off(number: int, frame: FrameType | None) -> None:
    raise Finding(f"hangs: cut off after {_HANG:g} s")
