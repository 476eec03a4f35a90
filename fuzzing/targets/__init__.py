"""All that is fuzzed."""

from collections.abc import Mapping
from typing import Final

from fuzzing.target import Target
from fuzzing.targets.amplified import AMPLIFIED
from fuzzing.targets.amqp import AMQP
from fuzzing.targets.bodies import BODIES
from fuzzing.targets.engine import ENGINE
from fuzzing.targets.envelopes import ENVELOPES
from fuzzing.targets.kafka import KAFKA
from fuzzing.targets.letters import LETTERS
from fuzzing.targets.topics import TOPICS

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (*ENVELOPES, *BODIES, *AMPLIFIED, *LETTERS, *TOPICS, *AMQP, *KAFKA, *ENGINE)
}
