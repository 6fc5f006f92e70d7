"""Servers and programs that tests and benchmarks start: PostgreSQL, RabbitMQ, a control plane, ours as processes."""
