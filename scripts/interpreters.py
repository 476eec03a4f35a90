"""The versions of Python that this machine has."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WANTED: Final = ("3.11", "3.12", "3.13")


def found() -> dict[str, str]:
    """Every wanted version that runs here, with the folder of its interpreter."""
    folders = {version: next(_folders(version), None) for version in WANTED}
    return {version: folder for version, folder in folders.items() if folder is not None}


def _folders(version: str) -> Iterator[str]:
    on_path = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [on_path, *sorted(pyenv.glob(f"{version}.*/bin/python{version}"))]
    for candidate in candidates:
        # A shim of pyenv is on the path for versions that it would refuse to run.
        if candidate and "shims" not in str(candidate) and _runs(str(candidate), version):
            yield str(Path(candidate).parent)


def _runs(interpreter: str, version: str) -> bool:
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run(
        [interpreter, "-c", question], capture_output=True, text=True, check=False, timeout=30
    )
    return answer.stdout.strip() == version
