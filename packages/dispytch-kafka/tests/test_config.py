from typing import Any

import pytest
from pydantic import ValidationError

from dispytch.exceptions import ConfigurationError
from dispytch.kafka import KafkaBackend, KafkaConfig
from dispytch.kafka.clients import _options
from dispytch.kafka.config import KafkaOptions
from dispytch.kafka.url import config_from_url


def test_a_whole_url() -> None:
    config = config_from_url(
        "kafka://us%40er:p%3Ass@a.example:1,b.example/"
        "?tls=true&mechanism=SCRAM-SHA-512&declare=check&send_timeout=2.5&partitions=6"
    )
    assert config.bootstrap_servers == ("a.example:1", "b.example:9092")
    assert config.username == "us@er"
    assert config.password is not None
    assert config.password.get_secret_value() == "p:ss"
    assert (config.tls, config.mechanism, config.declare) == (True, "SCRAM-SHA-512", "check")
    assert (config.send_timeout, config.partitions) == (2.5, 6)


def test_the_bare_scheme_is_localhost() -> None:
    assert KafkaBackend.from_url("kafka://").config == KafkaConfig()
    assert KafkaConfig().address == "localhost:9092"


def test_a_url_and_keywords_make_the_same_backend() -> None:
    by_url = KafkaBackend.from_url("kafka://u:p@h:1/?client_id=me&compression=gzip")
    by_keywords = KafkaBackend(
        "h:1", username="u", password="p", client_id="me", compression="gzip"
    )
    assert by_url.config == by_keywords.config


def test_the_keywords_are_the_fields_of_the_configuration() -> None:
    assert {"bootstrap_servers", *KafkaOptions.__annotations__} == set(KafkaConfig.model_fields)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rabbitmq://h", "scheme is 'rabbitmq'"),
        ("kafka://h/orders", "a path or a fragment"),
        ("kafka://user@h", "user:password@"),
        ("kafka://h:99999", "'h:...' is not host:port"),
        ("kafka://h:port", "'h:...' is not host:port"),
        ("kafka://a,,b", "'' is not host:port"),
        ("kafka://h/?partition=3", "no option 'partition'.*partitions"),
        ("kafka://h/?password=x", "no option 'password'"),
        ("kafka://h/?partitions=none", "partitions: Input should be a valid integer"),
        ("kafka://h/?declare=a&declare=b", "'declare' is given more than once"),
        ("kafka://h/?tls", "kafka://user:password@host"),
        ("kafka://h/?acks=0", "no option 'acks'"),
    ],
)
def test_a_wrong_url_names_the_part(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        KafkaBackend.from_url(url)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"partitions": 0}, "partitions"),
        ({"bootstrap_servers": []}, "bootstrap_servers"),
        ({"send_timeout": float("inf")}, "send_timeout"),
        ({"username": "u"}, "username and password are given together"),
        ({"mechanism": "PLAIN"}, "PLAIN takes a username"),
        ({"mechanism": "OAUTHBEARER"}, "token_provider"),
        ({"tls_cafile": "ca.pem"}, "tls=true"),
        ({"tls": True, "tls_keyfile": "key.pem"}, "tls_certfile"),
        ({"colour": "red"}, "colour.*its options are bootstrap_servers"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        KafkaBackend(**options)


def test_no_error_and_no_repr_tells_the_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        KafkaBackend.from_url("kafka://user:geheim@h/?partitions=x")
    assert "geheim" not in f"{caught.value} {caught.value.__cause__}"
    assert "geheim" not in repr(KafkaBackend("h", username="u", password="geheim").config)


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        KafkaConfig().declare = "never"  # type: ignore[misc]


def test_what_the_driver_gets() -> None:
    config = KafkaConfig.of(bootstrap_servers="h", username="u", password="p", tls=True)
    options = _options(config)
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "PLAIN"
    assert options["sasl_plain_password"] == "p"
    assert _options(KafkaConfig())["security_protocol"] == "PLAINTEXT"


def test_a_missing_certificate_is_named() -> None:
    config = KafkaConfig.of(tls=True, tls_cafile="/no/such/ca.pem")
    with pytest.raises(ConfigurationError, match=r"/no/such/ca\.pem"):
        _options(config)
