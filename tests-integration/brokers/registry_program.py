"""Apicurio Registry's own program, copied once from Maven Central into the user's cache."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from brokers.broker import BrokerUnavailable

REGISTRY_VERSION = "2.6.13.Final"
COPY_TIMEOUT = 600.0
ARTIFACT = f"io.apicurio:apicurio-registry-app:{REGISTRY_VERSION}:tar.gz:all"
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dispytch</groupId>
  <artifactId>registry-for-tests</artifactId>
  <version>1</version>
</project>
"""


def registry_program() -> Path:
    """The jar to run; copies it, and what it needs, when this user's cache has none yet.

    Raises:
        BrokerUnavailable: Maven is missing, or cannot fetch it.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "dispytch-tests" / f"registry-{REGISTRY_VERSION}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="copying-", dir=folder.parent) as scratch:
            unpacked = _unpacked(Path(scratch))
            try:
                unpacked.rename(folder)
            except OSError:
                # Another process was first.
                if not folder.is_dir():
                    raise
    return next(folder.glob("*-runner.jar"))


def _unpacked(scratch: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable("no `mvn` on the path: install Maven, to copy the registry once")
    (scratch / "pom.xml").write_text(POM)
    goal = ["dependency:copy", f"-Dartifact={ARTIFACT}", "-DoutputDirectory=copied"]
    try:
        done = subprocess.run(
            [maven, "-B", "-q", *goal],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COPY_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailable(f"Maven took more than {COPY_TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        raise BrokerUnavailable(f"Maven could not copy Apicurio Registry:\n{done.stdout[-2000:]}")
    [archive] = (scratch / "copied").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(scratch / "unpacked", filter="data")
    return scratch / "unpacked"
