"""Programs of the tests, which do not outlive them."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Child(subprocess.Popen[bytes]):
    """A program in a process group of its own, which is killed when this process has ended.

    However that ends: a second, tiny process waits for the end of a pipe from it. Where it ends
    the program itself, it must `wait` for it. What the program says is appended to a file.
    """

    def __init__(
        self,
        command: Sequence[str],
        output: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        with output.open("ab") as said:
            super().__init__(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", f"read _; kill -s KILL -- -{self.pid}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self, timeout: float | None = None) -> int:
        """As of every process; then the guard's watch is over."""
        code = super().wait(timeout)
        self._guard.kill()
        self._guard.communicate()
        return code
