"""Running a listener's service under test; `dispytch.testing` has the public names."""

from dispytch.probe.clock import Pace
from dispytch.probe.emitted import Emission, Emitted
from dispytch.probe.probe import Probe
from dispytch.probe.records import (
    DeadLettered,
    Dropped,
    Failed,
    GivenUp,
    Handled,
    HandledRecords,
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
    "Pace",
    "Probe",
    "Record",
    "Records",
    "Run",
    "Skipped",
    "Unhandled",
]
