"""Testing.

For those who write services: `dispytch.EventListener.test` and the `Probe` that it gives, with the
records that a probe shows. This needs no pytest; a run of pytest has the fixtures
``dispytch_probe``, which is a `StartProbe`, and ``memory_backend``.

For those who write a backend: `dispytch.testing.transport` and `dispytch.testing.conformance`, with
the tests that a backend must pass. They need pytest.
"""

from dispytch.exceptions import UnseenFailure, Unsettled
from dispytch.probe import (
    DeadLettered,
    Dropped,
    Emission,
    Emitted,
    Failed,
    GivenUp,
    Handled,
    HandledRecords,
    Probe,
    Record,
    Records,
    Run,
    Skipped,
    Unhandled,
)
from dispytch.testing.start_probe import StartProbe

__all__ = [
    "DeadLettered",
    "Dropped",
    "Emission",
    "Emitted",
    "Failed",
    "GivenUp",
    "Handled",
    "HandledRecords",
    "Probe",
    "Record",
    "Records",
    "Run",
    "Skipped",
    "StartProbe",
    "UnseenFailure",
    "Unhandled",
    "Unsettled",
]
