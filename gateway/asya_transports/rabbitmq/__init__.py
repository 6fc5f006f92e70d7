"""RabbitMQ: publishes on our own connection (wire.py), everything else through aiormq."""
