"""Both brokers over TLS, with certificates, and Kafka with users."""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from brokers.certificates import Certificates
from brokers.local_kafka import PASSWORD, USER, LocalKafka
from brokers.local_rabbitmq import LocalRabbitMQ
from brokers.provision import Provision

from dispytch import Event, EventBase, EventEmitter, EventListener, HandlerGroup
from dispytch.backends import backend_from
from dispytch.exceptions import BrokerUnreachable
from dispytch.kafka import KafkaBackend
from dispytch.transport import Backend


class Paid(EventBase):
    __topic__ = "payments"
    __event_type__ = "paid"

    number: int


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def secure_kafka(certificates: Certificates) -> Iterator[LocalKafka]:
    ways = {"local": lambda: LocalKafka(certificates=certificates)}
    for broker in Provision("Apache Kafka with TLS", ways).running():
        assert isinstance(broker, LocalKafka)
        yield broker


@pytest.fixture(scope="session")
def secure_rabbitmq(certificates: Certificates) -> Iterator[LocalRabbitMQ]:
    ways = {"local": lambda: LocalRabbitMQ(certificates)}
    for broker in Provision("RabbitMQ with TLS", ways).running():
        assert isinstance(broker, LocalRabbitMQ)
        yield broker


def with_files(url: str, names: tuple[str, str, str], files: Certificates) -> str:
    ca, certificate, key = names
    return (
        f"{url}{ca}={quote(str(files.authority))}&{certificate}={quote(str(files.client))}"
        f"&{key}={quote(str(files.client_key))}"
    )


@pytest.fixture
def secure_url(request: pytest.FixtureRequest, certificates: Certificates) -> str:
    broker = request.getfixturevalue(f"secure_{request.param}")
    if isinstance(broker, LocalRabbitMQ):
        names = ("cafile", "certfile", "keyfile")
        return with_files(f"{broker.tls_url}?", names, certificates)
    names = ("tls_cafile", "tls_certfile", "tls_keyfile")
    return with_files(f"kafka://{broker.mutual_tls}/?tls=true&", names, certificates)


async def flows(backend: Backend | str, group: str) -> bool:
    """Whether an event comes through."""
    handlers, came = HandlerGroup(), asyncio.Event()

    @handlers.handler(topic="payments")
    async def handle(event: Event) -> None:
        came.set()

    listener = EventListener(backend, group=group)
    listener.add_handler_group(handlers)
    async with listener, EventEmitter(backend) as emitter, asyncio.timeout(20):
        await emitter.emit(Paid(number=1))
        await came.wait()
    return True


@pytest.mark.parametrize("secure_url", ["kafka", "rabbitmq"], indirect=True)
async def test_events_flow_over_mutual_tls(secure_url: str, unique: str) -> None:
    assert await flows(secure_url, unique)


@pytest.mark.parametrize("secure_url", ["kafka", "rabbitmq"], indirect=True)
async def test_an_unknown_authority_is_refused(
    secure_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = re.sub(r"(tls_)?cafile=[^&]*&", "connect_timeout=3&", secure_url)
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1") as caught:
        await backend_from(unknown).ping()
    # One driver says why in its error, the other in its log.
    assert "certificate verify failed" in str(caught.value) + caplog.text


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_kafka_asks_for_a_user(
    secure_kafka: LocalKafka, certificates: Certificates, unique: str, mechanism: str
) -> None:
    def backend(password: str) -> KafkaBackend:
        return KafkaBackend(
            secure_kafka.with_users,
            username=USER,
            password=password,
            mechanism=mechanism,  # type: ignore[arg-type]
            tls=True,
            tls_cafile=str(certificates.authority),
            connect_timeout=5,
        )

    assert await flows(backend(PASSWORD), unique)
    with pytest.raises(BrokerUnreachable) as caught:
        await backend("wr0ng").ping()
    assert "wr0ng" not in str(caught.value)
    assert "credentials" in str(caught.value)
