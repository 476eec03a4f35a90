"""What is said of a way to the broker that others can listen in on, and what is never shown."""

import logging

import pytest

from dispytch.exceptions import ConfigurationError
from dispytch.rabbitmq import RabbitMQBackend


def test_a_certificate_that_is_not_checked_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "dispytch.rabbitmq")
    for _ in range(2):
        RabbitMQBackend.from_url("amqps://h1?verify=false")
    assert caplog.text.count("is not checked") == 1


def test_credentials_in_plain_text_to_another_host_are_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "dispytch.rabbitmq")
    for _ in range(2):
        RabbitMQBackend.from_url("amqp://me:hunter2@other.example")
    for here in ("localhost", "127.0.0.1"):
        RabbitMQBackend.from_url(f"amqp://me:hunter2@{here}")
    assert caplog.text.count("travel in plain text") == 1
    assert "hunter2" not in caplog.text


def test_no_check_without_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"TLS"):
        RabbitMQBackend.from_url("amqp://h?verify=false")


@pytest.mark.parametrize(
    "rest",
    [
        "me:hunter2,host",
        "me:hunter2",
        "me:hunter2,host:1",
        "me:hunter2:x@host",
        "me:hunter2@host:port",
        "me:hunter2@host:99999",
        "me:hunter2@[::1",
        "me:hunter2@host/a/b",
        "me:hunter2@host?nothing=1",
        "me:hunter2@host?declare=x",
        "me:hunter2@host#x",
        "me:hunter2/x@host",
        "me:hunter2?x@host",
        "me:hunter2@@host",
        "@me:hunter2",
        "me:hunter2 host",
        "me\uff0fhunter2:hunter2@h\u2100st",
    ],
)
def test_a_password_is_never_shown(rest: str, caplog: pytest.LogCaptureFixture) -> None:
    try:
        shown = repr(RabbitMQBackend.from_url(f"amqp://{rest}"))
    except ConfigurationError as error:
        shown = ""
        link: BaseException | None = error
        while link is not None:
            shown += f"{link!r} {link}"
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    assert "hunter2" not in shown + caplog.text
