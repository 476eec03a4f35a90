"""A small AMQP 0-9-1 client for RabbitMQ: connections, channels, frames, message properties.

It knows nothing of events. It is our own, on the codec of pamqp, for three reasons: deliveries
and confirms are handed over synchronously, with no task or future for each; a returned message is
told apart from its neighbours exactly; and a message whose properties cannot be read harms only
itself, where a client that decodes them as part of its connection loses the connection again and
again.
"""
