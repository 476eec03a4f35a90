"""Every check and every test, step by step: what `make test` runs.

Brokers that cannot be had are skipped, and named at the end; with ``REQUIRE_BROKERS=1`` a broker
that is missing is a failure. Where ``RABBITMQ_CHROOT`` names the root of a system with another
RabbitMQ, see ``scripts/rabbitmq-chroot``, the tests of RabbitMQ are run on that one too.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.interpreters import WANTED, found

CHROOT = "RABBITMQ_CHROOT"


@dataclass(frozen=True)
class Step:
    """A command of the workspace, with variables of the environment for it alone."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self) -> bool:
        """Run it, with its output passed through; whether it succeeded."""
        print(f"\n=== {self.name}: {' '.join(self.command)}", flush=True)
        environment = {**os.environ, **self.variables}
        return subprocess.run(self.command, env=environment, check=False).returncode == 0


def steps(versions: list[str], chroot: str | None) -> list[Step]:
    """What there is to do, the quick ones first."""
    integration = ("hatch", "run", "integration")
    other_rabbitmq = (
        []
        if chroot is None
        else [Step(f"RabbitMQ of {chroot}", (*integration, "-k", "rabbitmq"), {CHROOT: chroot})]
    )
    unit = [
        Step(f"unit tests on Python {version}", ("hatch", "run", f"unit.py{version}:test", "-q"))
        for version in versions
    ]
    return [
        Step("lint", ("hatch", "run", "lint")),
        Step("types", ("hatch", "run", "types")),
        Step("imports", ("hatch", "run", "imports")),
        Step("types as users see them", ("hatch", "run", "typing")),
        *unit,
        Step("documentation", ("hatch", "run", "documentation", "-q")),
        Step("hostile input", ("hatch", "run", "fuzz", "--inputs", "200000")),
        Step("cost of dispatch", ("hatch", "run", "guard")),
        Step("site", ("hatch", "run", "site")),
        Step("integration tests", integration),
        *other_rabbitmq,
    ]


def main() -> int:
    """Run every step, even after one has failed, and say how each of them went."""
    interpreters = found()
    os.environ["PATH"] = os.pathsep.join([*interpreters.values(), os.environ["PATH"]])
    lines: list[str] = []
    failed = False
    for step in steps(list(interpreters), os.environ.pop(CHROOT, None)):
        began = time.monotonic()
        succeeded = step.run()
        failed |= not succeeded
        verdict = "ok" if succeeded else "FAILED"
        lines.append(f"{verdict:7} {time.monotonic() - began:6.1f} s  {step.name}")
    missing = [version for version in WANTED if version not in interpreters]
    lines += [f"SKIPPED           unit tests on Python {version}: not found" for version in missing]
    print("\n=== summary", *lines, sep="\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
