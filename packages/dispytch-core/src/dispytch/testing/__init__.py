"""Testing.

For those who write services: `dispytch.EventListener.test` and the `Probe` that it gives, with the
records that a probe shows. This needs no pytest.

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
    "UnseenFailure",
    "Unhandled",
    "Unsettled",
]
