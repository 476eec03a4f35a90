"""RabbitMQ for dispytch: quorum queues, publisher confirms, batched acknowledgements."""

from dispytch.rabbitmq.backend import RabbitMQBackend
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.event_config import RabbitMQEventConfig

__all__ = ["RabbitMQBackend", "RabbitMQConfig", "RabbitMQEventConfig"]
