"""How to reach RabbitMQ, and what to make there."""

import ssl
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from dispytch.exceptions import ConfigurationError, TopologyError
from dispytch.rabbitmq.topology import (
    DEFAULT_EXCHANGE,
    GroupQueue,
    QueueType,
    check_name,
    group_queues,
)
from dispytch.topics import TopicPattern
from dispytch.transport import Declare, IfUnroutable

PLAIN_SCHEMES = ("amqp", "rabbitmq")
TLS_SCHEMES = ("amqps", "rabbitmqs")

PARTITIONS_MAX = 1000

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _checked_exchange(name: Any) -> Any:
    try:
        check_name("exchange", str(name))
    except TopologyError as error:
        raise ValueError(str(error)) from error
    return name


class RabbitMQConfig(BaseModel):
    """How to reach RabbitMQ, and what to make there; frozen.

    host, port: port 5672, with TLS 5671, unless it is given.
    vhost, user, password: where to and as whom.
    tls: speak TLS; the schemes ``amqps`` and ``rabbitmqs`` turn it on.
    cafile: certificates to trust instead of the system's. certfile, keyfile: our own.
    verify: whether the server must prove who it is.
    exchange: the durable topic exchange that all messages go through.
    queue_type: of the groups' queues: ``quorum``, or ``classic``.
    delivery_limit: how often a quorum queue hands one message out before it drops it; None: no
        limit.
    partitions: how many queues, each with a single active consumer, a group has per topic, so that
        the order of a key holds while the group has several members; None: one queue for all.
    unroutable: what becomes of an event that no queue takes yet: ``keep`` stores it for the first
        group that comes to its topic, ``error`` raises ``Unroutable``, ``drop`` drops it. Only with
        ``declare=auto`` can it be kept; otherwise it is an error.
    declare: make what is missing (``auto``), only ``check``, or do not look (``never``).
    heartbeat: seconds between signs of life, 0 for none; a broker silent for three times as long
        is lost.
    connect_timeout: seconds until the broker is called unreachable.
    send_timeout: seconds in which a message must be confirmed, over a restart of the broker too.
    connection_name: shown in the broker's list of connections.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    host: str = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    vhost: str = "/"
    user: str = "guest"
    password: SecretStr = SecretStr("guest")
    tls: bool = False
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True
    exchange: Annotated[str, BeforeValidator(_checked_exchange)] = DEFAULT_EXCHANGE
    queue_type: QueueType = "quorum"
    delivery_limit: Annotated[int, Field(ge=1)] | None = None
    partitions: Annotated[int, Field(ge=1, le=PARTITIONS_MAX)] | None = None
    unroutable: IfUnroutable = "keep"
    declare: Declare = "auto"
    heartbeat: Annotated[int, Field(ge=0, le=65535)] = 30
    connect_timeout: Seconds = 10.0
    send_timeout: Seconds = 30.0
    connection_name: str = "dispytch"

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        tls_only = {"cafile": self.cafile, "certfile": self.certfile, "keyfile": self.keyfile}
        given = [name for name, value in tls_only.items() if value is not None]
        if given and not self.tls:
            raise ValueError(f"{', '.join(given)}: only with TLS; use the scheme amqps, or tls")
        if not self.verify and not self.tls:
            raise ValueError("verify=false: only with TLS; use the scheme amqps, or tls")
        if self.keyfile and not self.certfile:
            raise ValueError("keyfile: needs a certfile as well")
        if self.delivery_limit is not None and self.queue_type == "classic":
            raise ValueError("delivery_limit: only a quorum queue has one")
        if self.keeps_in_vain and "unroutable" in self.model_fields_set:
            raise ValueError(
                f"unroutable='keep': makes queues, which declare={self.declare!r} does not allow"
            )
        return self

    @property
    def keeps_in_vain(self) -> bool:
        """Whether what nobody takes yet would be kept, were it not that nothing may be made."""
        return self.unroutable == "keep" and self.declare != "auto"

    @property
    def if_unroutable(self) -> IfUnroutable:
        """What really becomes of an event that no queue takes yet."""
        return "error" if self.keeps_in_vain else self.unroutable

    @property
    def address(self) -> str:
        """Where the broker is, for people: never with the password."""
        scheme = "amqps" if self.tls else "amqp"
        return f"{scheme}://{self.host}:{self.effective_port}"

    @property
    def effective_port(self) -> int:
        """The port, where none was given the protocol's own."""
        return self.port or (5671 if self.tls else 5672)

    def tls_context(self) -> ssl.SSLContext | None:
        """What TLS needs; reads the files.

        Raises:
            ConfigurationError: a file is missing or is no certificate or key.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            if self.certfile:
                context.load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ssl.SSLError) as error:
            files = [file for file in (self.cafile, self.certfile, self.keyfile) if file]
            raise ConfigurationError(
                f"TLS files of {self.address} cannot be used ({', '.join(files)}): {error}"
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def queues_of(
    group: str,
    topics: tuple[str, ...],
    patterns: tuple[TopicPattern, ...],
    config: RabbitMQConfig,
    *,
    former: bool = False,
) -> tuple[GroupQueue, ...]:
    """The queues of a group for its topics and patterns, as the configuration says.

    ``former`` asks for those that there may be from before one of the patterns took them in.

    Raises:
        TopologyError: as `group_queues` says.
    """
    return group_queues(
        topics,
        group,
        config.queue_type,
        config.delivery_limit,
        config.partitions,
        config.exchange,
        patterns,
        former=former,
    )


def configure(options: dict[str, Any]) -> RabbitMQConfig:
    """A configuration from keyword options.

    Raises:
        ConfigurationError: an option is unknown or has a wrong value; the text names it.
    """
    unknown = sorted(options.keys() - RabbitMQConfig.model_fields.keys())
    if unknown:
        allowed = ", ".join(sorted(RabbitMQConfig.model_fields))
        raise ConfigurationError(
            f"RabbitMQ has no option {', '.join(unknown)}; the options are {allowed}"
        )
    try:
        return RabbitMQConfig(**options)
    except ValidationError as error:
        raise ConfigurationError(f"RabbitMQ options: {_complaints(error)}") from None


def configure_from_url(url: str) -> RabbitMQConfig:
    """A configuration from ``amqp://user:password@host:port/vhost?option=value``.

    The schemes are amqp and rabbitmq, with TLS amqps and rabbitmqs. No host means localhost.
    User, password and virtual host are percent-decoded; an empty path means the virtual host
    ``/``.

    Raises:
        ConfigurationError: the URL or an option in it is wrong; the text names the part, and
            never shows the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unreadable() from None
    if parts.fragment or "@" in parts.path + parts.query or "," in (parts.hostname or ""):
        raise _unreadable()
    if parts.scheme not in PLAIN_SCHEMES + TLS_SCHEMES:
        schemes = ", ".join(PLAIN_SCHEMES + TLS_SCHEMES)
        raise ConfigurationError(f"RabbitMQ URL: scheme {parts.scheme!r} is none of {schemes}")
    host, tls = parts.hostname or "localhost", parts.scheme in TLS_SCHEMES
    options: dict[str, Any] = {"host": host, "tls": tls}
    if port is not None:
        options["port"] = port
    if parts.username:
        options["user"] = unquote(parts.username)
    if parts.password is not None:
        options["password"] = unquote(parts.password)
    if parts.path not in ("", "/"):
        options["vhost"] = _vhost(parts.path)
    return configure(_with_query(options, parts.query))


def _vhost(path: str) -> str:
    if "/" in path[1:]:
        raise ConfigurationError(
            "RabbitMQ URL: the path is no virtual host; write a '/' in its name as %2F"
        )
    return unquote(path[1:])


def _unreadable() -> ConfigurationError:
    # What could not be read is not shown: it may be half a password.
    return ConfigurationError(
        "RabbitMQ URL: host or port cannot be read; there is one host, the port is a number up to "
        "65535, and '/', '?', '#' and '@' in user, password and virtual host are percent-encoded"
    )


def _with_query(options: dict[str, Any], query: str) -> dict[str, Any]:
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in ("host", "port", "vhost", "user", "password", "tls"):
            raise ConfigurationError(f"RabbitMQ URL: {name} has its own place, not after the '?'")
        if name in options:
            raise ConfigurationError(f"RabbitMQ URL: option {name} is given twice")
        options[name] = value
    return options


def _complaints(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}".removeprefix(": ")
        for each in error.errors(include_input=False, include_url=False)
    )
