"""RabbitMQ: publishes on a connection of its own making (wire.py), everything else by aiormq."""
