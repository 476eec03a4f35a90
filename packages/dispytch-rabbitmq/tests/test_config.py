"""Configuration: from URLs and keywords, and what is wrong with it."""

import re

import pytest
from pydantic import ValidationError

from dispytch.exceptions import ConfigurationError
from dispytch.rabbitmq import RabbitMQBackend
from dispytch.rabbitmq.config import configure_from_url


def test_a_url_says_where_and_as_whom() -> None:
    config = configure_from_url("amqp://me:p%40ss%2F@mq.example:5673/my%2Fhost")
    assert (config.host, config.port, config.vhost) == ("mq.example", 5673, "my/host")
    assert (config.user, config.password.get_secret_value()) == ("me", "p@ss/")
    assert not config.tls


@pytest.mark.parametrize("url", ["rabbitmq://h", "rabbitmq://h/", "amqp://h/%2F"])
def test_without_a_path_the_virtual_host_is_a_slash(url: str) -> None:
    config = configure_from_url(url)
    assert (config.vhost, config.effective_port, config.user) == ("/", 5672, "guest")


@pytest.mark.parametrize("scheme", ["amqps", "rabbitmqs"])
def test_schemes_with_an_s_speak_tls(scheme: str) -> None:
    config = configure_from_url(f"{scheme}://h?cafile=/ca.pem&verify=false")
    assert (config.tls, config.effective_port) == (True, 5671)
    assert (config.cafile, config.verify) == ("/ca.pem", False)


def test_no_host_is_this_machine() -> None:
    assert configure_from_url("rabbitmq://").host == "localhost"


def test_options_follow_the_question_mark() -> None:
    config = configure_from_url("amqp://h?queue_type=classic&heartbeat=5&send_timeout=1.5")
    assert (config.queue_type, config.heartbeat, config.send_timeout) == ("classic", 5, 1.5)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "scheme 'http'"),
        ("amqp://h:99999", "port"),
        ("amqp://guest:1234/x@h", "percent-encoded"),
        ("amqp://guest:1234#x@h", "percent-encoded"),
        ("amqp://h1,h2", "one host"),
        ("amqp://h?connect_timeout=inf", "connect_timeout: .*finite"),
        ("amqp://me:pa/ss@h", "percent-encoded"),
        ("amqp://h/a/b", "%2F"),
        ("amqp://h?colour=red", "no option colour; the options are .*queue_type"),
        ("amqp://h?queue_type=stream", "queue_type: .*'quorum' or 'classic'"),
        ("amqp://h?heartbeat=soon", "heartbeat: "),
        ("amqp://h?heartbeat=1&heartbeat=2", "heartbeat is given twice"),
        ("amqp://h?password=x", "password has its own place"),
        ("amqp://h?exchange=amq.topic", "exchange: .*reserves"),
        ("amqp://h?cafile=/ca.pem", "cafile: only with TLS"),
        ("amqps://h?keyfile=/k.pem", "needs a certfile"),
        ("amqp://h?queue_type=classic&delivery_limit=3", "only a quorum queue"),
    ],
)
def test_a_wrong_url_names_the_part(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        configure_from_url(url)


def test_no_error_shows_the_password() -> None:
    for url in ("amqp://me:hush:hush@h:x/", "amqp://me:hush@h?colour=red", "amqp://me:hush/@h"):
        with pytest.raises(ConfigurationError) as caught:
            configure_from_url(url)
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert "hush" not in repr(RabbitMQBackend(password="hush").config)


def test_keywords_make_a_backend_and_are_checked() -> None:
    assert RabbitMQBackend(host="h", queue_type="classic").config.queue_type == "classic"
    with pytest.raises(ConfigurationError, match="port: "):
        RabbitMQBackend(port=0)
    with pytest.raises(ConfigurationError, match="no option colour"):
        RabbitMQBackend(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_a_configuration_is_frozen() -> None:
    config = RabbitMQBackend().config
    with pytest.raises(ValidationError, match="frozen"):
        config.host = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_missing_certificate_is_named() -> None:
    config = configure_from_url("amqps://h?cafile=/no/such.pem")
    with pytest.raises(ConfigurationError, match=re.escape("/no/such.pem")):
        config.tls_context()
