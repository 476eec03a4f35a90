import pytest

import dispytch.kafka
from dispytch.exceptions import ConfigurationError
from dispytch.kafka import KafkaBackend, KafkaConfig, KafkaEventConfig
from dispytch.kafka.producer import KafkaProducer
from dispytch.messages import Message
from dispytch.transport import CONTRACT_VERSION


def test_the_public_names_are_sorted_and_exist() -> None:
    names = dispytch.kafka.__all__
    assert names == sorted(names)
    assert all(hasattr(dispytch.kafka, name) for name in names)


def test_what_the_backend_declares() -> None:
    assert KafkaBackend.contract == CONTRACT_VERSION
    assert KafkaBackend.event_config is KafkaEventConfig
    assert KafkaBackend.features.durable
    assert KafkaBackend.features.history
    assert KafkaBackend.features.shared_order
    assert KafkaBackend.features.attribute_prefixes == ("ce_",)


async def test_a_delay_is_refused_before_anything_is_sent() -> None:
    producer = KafkaProducer(KafkaConfig.of())
    with pytest.raises(ConfigurationError, match="no delay"):
        await producer.send([Message("topic", b"0")], delay=1.0)
    assert not KafkaBackend.features.delay
