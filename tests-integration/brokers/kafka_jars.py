"""Apache Kafka's own jars, copied once from Maven Central into the user's cache."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from brokers.broker import BrokerUnavailable

KAFKA_VERSION = "4.3.1"
COPY_TIMEOUT = 600.0

# Kafka speaks SLF4J 1.7, so it takes log4j-slf4j-impl and not log4j-slf4j2-impl.
POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dispytch</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"""


def kafka_jars() -> Path:
    """The folder that holds the jars; copies them when this user's cache has none yet.

    Two processes may do so at once: each copies into a folder of its own, and the first to
    rename it wins.

    Raises:
        BrokerUnavailable: Maven is missing, or cannot fetch them.
    """
    jars = _cache() / f"kafka-{KAFKA_VERSION}"
    if not jars.is_dir():
        jars.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="copying-", dir=jars.parent) as scratch:
            _copy(Path(scratch))
            try:
                (Path(scratch) / "jars").rename(jars)
            except OSError:
                if not jars.is_dir():
                    raise
    return jars


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dispytch-tests"


def _copy(scratch: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable("no `mvn` on the path: install Maven, to copy Apache Kafka once")
    (scratch / "pom.xml").write_text(POM)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"]
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
        raise BrokerUnavailable(f"Maven could not copy Apache Kafka:\n{done.stdout[-2000:]}")
