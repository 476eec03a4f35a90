"""One target in a process of its own: ``… fuzzing.child ROOM TARGET INPUTS SEED FOLDER``.

The process ends as soon as the inputs are used up; what it found is in ``FOLDER/TARGET.json``.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import atheris

from fuzzing.target import Target
from fuzzing.targets import targets_of
from fuzzing.watch import Watch

_HANG = 60
"""Seconds after which libFuzzer ends a process that nothing else can interrupt."""
_MEMORY_MB = 2048


def main(room: str, name: str, inputs: int, seed: int, folder: Path) -> None:
    """Fuzz until the inputs are used up; does not return."""
    with atheris.instrument_imports(include=["dispytch"]):
        target = targets_of(room)[name]
    watch = Watch(target, folder / "inputs")
    began = time.monotonic()

    def one(data: bytes) -> None:
        watch(data)
        if watch.inputs >= inputs:
            (folder / f"{name}.json").write_text(json.dumps(_report(watch, began)))
            sys.stdout.flush()
            # libFuzzer takes an exception for a crash, and has no other end for its own loop.
            os._exit(0)

    with tempfile.TemporaryDirectory(prefix="fuzzing-") as scratch:
        atheris.Setup([sys.argv[0], *_options(target, seed, Path(scratch))], one)
        atheris.Fuzz()


def _options(target: Target, seed: int, scratch: Path) -> list[str]:
    corpus, words = scratch / "corpus", scratch / "words"
    corpus.mkdir()
    for number, data in enumerate(target.seeds):
        (corpus / f"{number:03}").write_bytes(data)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    return [
        f"-seed={seed}",
        f"-max_len={target.max_len}",
        f"-dict={words}",
        f"-timeout={_HANG}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-artifact_prefix={scratch}/",
        "-print_final_stats=0",
        "-verbosity=0",
        str(corpus),
    ]


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _report(watch: Watch, began: float) -> dict[str, object]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "inputs": watch.inputs,
        "seconds": time.monotonic() - began,
        "slowest": watch.slowest,
        "peak_mb": peak,
        "findings": list(watch.findings.values()),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
