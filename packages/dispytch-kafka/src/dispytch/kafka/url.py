"""The Kafka backend's URL."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from dispytch.exceptions import ConfigurationError
from dispytch.kafka.config import KafkaConfig

_NOT_OPTIONS = {"bootstrap_servers", "username", "password", "token_provider"}


def config_from_url(url: str) -> KafkaConfig:
    """The configuration in ``kafka://user:password@host:9092,host:9092/?option=value``.

    Encryption is an option as any other: ``?tls=true``.

    Raises:
        ConfigurationError: the URL, or an option in it, is wrong; the text names the part.
    """
    _check_escaped(url)
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # What the parser says of it shows what stands there.
        raise _wrong("it cannot be read") from None
    if parts.scheme != "kafka":
        raise _wrong(f"its scheme is {parts.scheme!r}")
    if parts.path not in ("", "/") or parts.fragment:
        raise _wrong("it has a path or a fragment")
    return KafkaConfig.of(**_authority(parts.netloc), **_options(options))


def _check_escaped(url: str) -> None:
    rest = url.partition("://")[2]
    ends = [rest.find(sign) for sign in "/?#" if sign in rest]
    if ends and "@" in rest[min(ends) :]:
        raise _wrong("'/', '?' and '#' in a password are written as %2F, %3F and %23")


def _authority(authority: str) -> dict[str, Any]:
    credentials, at, servers = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    found: dict[str, Any] = {"bootstrap_servers": servers} if servers else {}
    if at and not (user and colon and password):
        raise _wrong("a user stands there with a password, as user:password@")
    if at:
        found |= {"username": unquote(user), "password": unquote(password)}
    return found


def _options(given: dict[str, list[str]]) -> dict[str, str]:
    known = [name for name in KafkaConfig.model_fields if name not in _NOT_OPTIONS]
    for name, values in given.items():
        if name not in known:
            raise _wrong(f"it has no option {name!r}; there are {', '.join(known)}")
        if len(values) > 1:
            raise _wrong(f"the option {name!r} is given more than once")
    return {name: values[0] for name, values in given.items()}


def _wrong(reason: str) -> ConfigurationError:
    # The URL itself is not shown: it may hold a password.
    return ConfigurationError(
        f"this is no URL of the Kafka backend: {reason}; it is written "
        "kafka://user:password@host:9092,host:9092/?option=value, and only the first host is needed"
    )
