"""The environments that sides run in: ours, or one made for a framework that needs its own."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.interpreters import found

from .unavailable import Unavailable

INSTALL_TIMEOUT = 300.0


@dataclass(frozen=True)
class Here:
    """The environment that the benchmarks run in. needs: a module that it may lack."""

    needs: str = "dispytch"

    def interpreter(self) -> str:
        """Its Python.

        Raises:
            Unavailable: what is needed is not installed.
        """
        if importlib.util.find_spec(self.needs) is None:
            raise Unavailable(f"{self.needs} is not installed; use `hatch run bench`")
        return sys.executable


HERE = Here()


@dataclass(frozen=True)
class Apart:
    """An environment of its own, made once in the user's cache.

    requirements: as pip takes them. python: the version of Python that they need.
    """

    name: str
    requirements: tuple[str, ...]
    python: str

    def interpreter(self) -> str:
        """Its Python; installs what it needs when it is made.

        Raises:
            Unavailable: there is no such Python, or what is needed cannot be installed.
        """
        return _made(self)


@functools.cache
def _made(apart: Apart) -> str:
    folder = _cache() / f"{apart.name}-py{apart.python}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        base = found().get(apart.python)
        if base is None:
            raise Unavailable(f"Python {apart.python} was not found")
        _uv("venv", "-q", "--clear", "--python", f"{base}/python{apart.python}", str(folder))
        _uv("pip", "install", "-q", "--python", str(python), *apart.requirements)
        complete.touch()
    return str(python)


def _uv(*arguments: str) -> None:
    program = shutil.which(
        "uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        raise Unavailable("`uv` is not installed; use `hatch run bench`")
    try:
        ended = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=INSTALL_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"installing took more than {INSTALL_TIMEOUT:.0f} s") from None
    if ended.returncode:
        raise Unavailable(f"it cannot be installed: {ended.stderr.strip()[-300:]}")


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dispytch-benchmarks"
