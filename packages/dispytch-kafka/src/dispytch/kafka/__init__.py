"""Apache Kafka as a backend of dispytch."""

from dispytch.kafka.backend import KafkaBackend
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.event_config import KafkaEventConfig

__all__ = ["KafkaBackend", "KafkaConfig", "KafkaEventConfig"]
