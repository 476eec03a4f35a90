"""The programs that the tests start end with them."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, sys, time
from pathlib import Path
from brokers.child import Child

folder = Path(sys.argv[1])
Child(["flock", str(folder / "lock"), "sleep", "600"], folder / "output.log")
while not (folder / "lock").exists():
    time.sleep(0.01)
time.sleep(0.2)
print("started", flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    here = Path(__file__).parent
    ended = subprocess.run(
        [sys.executable, "-c", PARENT, str(tmp_path)], cwd=here, capture_output=True, timeout=60
    )
    assert (ended.stdout, ended.returncode) == (b"started\n", -9), ended.stderr
    began = time.monotonic()
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Waits for as long as the child has it.
    assert time.monotonic() - began < 30
