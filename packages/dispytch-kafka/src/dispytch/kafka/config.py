"""The configuration of the Kafka backend."""

from typing import Annotated, Any, ClassVar, Literal, Self, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from dispytch.exceptions import ConfigurationError
from dispytch.kafka.driver import missing_compression
from dispytch.kafka.driver_types import TokenProvider
from dispytch.transport import Declare

Compression = Literal["gzip", "snappy", "lz4", "zstd"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
DEFAULT_PORT = 9092

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _as_servers(given: Any) -> Any:
    return [part.strip() for part in given.split(",")] if isinstance(given, str) else given


class KafkaOptions(TypedDict, total=False):
    """The options of `KafkaConfig`, as keywords."""

    client_id: str
    declare: Declare
    partitions: int | None
    replication_factor: int | None
    username: str | None
    password: SecretStr | str | None
    mechanism: Mechanism | None
    token_provider: TokenProvider | None
    tls: bool
    tls_verify: bool
    tls_cafile: str | None
    tls_certfile: str | None
    tls_keyfile: str | None
    compression: Compression | None
    max_message_bytes: int
    max_batch_bytes: int
    connect_timeout: float
    request_timeout: float
    send_timeout: float
    session_timeout: float
    max_poll_interval: float
    assignment_timeout: float
    metadata_max_age: float


class KafkaConfig(BaseModel):
    """How to reach Kafka and how to behave there: frozen, validated when it is made.

    bootstrap_servers: ``host:port`` of some of the brokers, one text or several.
    client_id: how this program is called in the broker's logs and quotas.
    declare: missing topics are made (``auto``), complained of (``check``), or not looked for.
    partitions, replication_factor: of the topics that are made; by default as the broker has it.
    username, password, mechanism: SASL; the mechanism is PLAIN unless said otherwise.
    token_provider: gives the tokens for the mechanism OAUTHBEARER.
    tls: encrypt. tls_verify: check the broker's certificate and host name. tls_cafile: who has
        signed it, unless the system knows. tls_certfile, tls_keyfile: this program's own.
    compression: of what is sent.
    max_message_bytes: a larger message is refused before it is sent.
    max_batch_bytes: a compressed batch that holds more than this is not unpacked; its records are
        given up as unreadable.
    connect_timeout: how long to look for a broker, in seconds, as all that follow.
    request_timeout: how long one request to a broker may take.
    send_timeout: how long a send may take in all, over restarts of the broker.
    session_timeout: a consumer that has been silent for so long loses its partitions.
    max_poll_interval: so does one whose event loop has stood still for so long.
    assignment_timeout: a consumer that has waited for partitions for so long is not healthy.
    metadata_max_age: how often the brokers are asked what topics and partitions there are, so how
        long it takes at most until a pattern finds a topic that is made later.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    bootstrap_servers: Annotated[tuple[str, ...], BeforeValidator(_as_servers)] = Field(
        default=(f"localhost:{DEFAULT_PORT}",), min_length=1
    )
    client_id: str = Field(default="dispytch", min_length=1)
    declare: Declare = "auto"
    partitions: int | None = Field(default=None, ge=1)
    replication_factor: int | None = Field(default=None, ge=1)
    username: str | None = None
    password: SecretStr | None = None
    mechanism: Mechanism | None = None
    token_provider: TokenProvider | None = None
    tls: bool = False
    tls_verify: bool = True
    tls_cafile: str | None = None
    tls_certfile: str | None = None
    tls_keyfile: str | None = None
    compression: Compression | None = None
    max_message_bytes: int = Field(default=1_048_576, ge=1)
    max_batch_bytes: int = Field(default=67_108_864, ge=1)
    connect_timeout: _Seconds = 10.0
    request_timeout: _Seconds = 10.0
    send_timeout: _Seconds = 30.0
    session_timeout: _Seconds = 20.0
    max_poll_interval: _Seconds = 300.0
    assignment_timeout: _Seconds = 30.0
    metadata_max_age: _Seconds = 10.0

    @classmethod
    def of(cls, **options: Any) -> Self:
        """The configuration with these options.

        Raises:
            ConfigurationError: an unknown option or a wrong value; the text names it.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            faults = "; ".join(
                ": ".join([*map(str, fault["loc"][:1]), fault["msg"]])
                for fault in error.errors(include_input=False)
            )
            raise ConfigurationError(
                f"the Kafka backend's configuration is wrong: {faults}; "
                f"its options are {', '.join(cls.model_fields)}"
            ) from error

    @property
    def address(self) -> str:
        """The bootstrap servers in one text, for messages to people."""
        return ",".join(self.bootstrap_servers)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The bootstrap servers without their ports."""
        return tuple(server.rpartition(":")[0] for server in self.bootstrap_servers)

    @field_validator("bootstrap_servers")
    @classmethod
    def _are_hosts_and_ports(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_with_port, servers))

    @field_validator("compression")
    @classmethod
    def _compression_is_installed(cls, compression: str | None) -> str | None:
        missing = compression and missing_compression(compression)
        if missing:
            raise ValueError(missing)
        return compression

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if self.mechanism == "OAUTHBEARER":
            if self.token_provider is None or self.username is not None:
                raise ValueError("OAUTHBEARER takes a token_provider, and no username or password")
        elif self.token_provider is not None:
            raise ValueError("a token_provider is for mechanism='OAUTHBEARER'")
        elif (self.username is None) != (self.password is None):
            raise ValueError("username and password are given together")
        elif self.mechanism is not None and self.username is None:
            raise ValueError(f"{self.mechanism} takes a username and a password")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if not self.tls and (self.tls_cafile or self.tls_certfile or not self.tls_verify):
            raise ValueError("the options of TLS need tls=true")
        if self.tls_keyfile and not self.tls_certfile:
            raise ValueError("a tls_keyfile belongs to a tls_certfile")
        return self


def _with_port(server: str) -> str:
    host, colon, port = server.rpartition(":")
    if not colon or (server.startswith("[") and server.endswith("]")):
        host, port = server, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        # What stands in the place of a port may be a password, as in me:password,host.
        shown = f"{host}:..." if colon else server
        raise ValueError(f"{shown!r} is not host:port")
    return f"{host}:{port}"
