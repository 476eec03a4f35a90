"""Running programs of another system, whose root is a folder of this one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# The mounts are seen by nobody else, and end with the program.
ENTER = """
root=$1; shift
for folder in /proc /sys /dev; do mount --rbind "$folder" "$root$folder"; done
while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done
shift
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Chroot:
    """A system whose programs are run; this one where there is no root."""

    root: Path | None

    @classmethod
    def from_environment(cls, variable: str) -> "Chroot":
        """The system whose root a variable of the environment names, or this one."""
        root = os.environ.get(variable)
        return cls(Path(root) if root else None)

    def inside(self, path: Path) -> Path:
        """Where a path of that system lies, seen from this one."""
        return path if self.root is None else self.root / path.relative_to("/")

    def has(self, program: Path) -> bool:
        """Whether that system has a program."""
        return self.inside(program).exists()

    def command(self, command: Sequence[str], folders: Sequence[Path]) -> Sequence[str]:
        """The command that runs a command there, with folders of this system at the same paths."""
        if self.root is None:
            return command
        enter = ["unshare", "--mount", "--propagation", "slave", "sh", "-euc", ENTER, "sh"]
        return [*enter, str(self.root), *map(str, folders), "--", *command]
