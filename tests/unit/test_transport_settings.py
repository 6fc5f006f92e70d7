"""How the programs' environment variables become a transport's settings."""

import pytest

from asya_crds import naming
from asya_transports import names
from asya_transports.description import TransportSettingsError
from asya_transports.known import transport_settings
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.rabbitmq.settings import RabbitSettings


def test_without_a_transport_named_the_database_carries_the_queues() -> None:
    assert transport_settings({"ASYA_DATABASE_URL": "postgresql://db/asya"}) == PostgresSettings("postgresql://db/asya")


def test_rabbitmq_takes_the_url_as_it_is() -> None:
    settings = transport_settings(
        {
            "ASYA_TRANSPORT": "rabbitmq",
            "ASYA_RABBITMQ_URL": "amqps://u:p@mq/vhost",
            "ASYA_RABBITMQ_EXCHANGE": "other",
            "ASYA_RABBITMQ_PREFETCH": "7",
            "ASYA_RABBITMQ_POOL_SIZE": "1",
        }
    )
    assert settings == RabbitSettings("amqps://u:p@mq/vhost", exchange="other", channels=1, prefetch=7)


def test_rabbitmq_is_also_told_by_host_and_credentials_as_sidecars_are() -> None:
    settings = transport_settings(
        {
            "ASYA_TRANSPORT": "rabbitmq",
            "ASYA_RABBITMQ_HOST": "mq",
            "ASYA_RABBITMQ_PORT": "5673",
            "ASYA_RABBITMQ_USERNAME": "asya",
            "ASYA_RABBITMQ_PASSWORD": "p@ss/word",
        }
    )
    assert settings == RabbitSettings("amqp://asya:p%40ss%2Fword@mq:5673/")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ASYA_TRANSPORT": "kafka"}, "ASYA_TRANSPORT"),
        ({}, "ASYA_DATABASE_URL"),
        ({"ASYA_TRANSPORT": "rabbitmq"}, "ASYA_RABBITMQ_URL"),
        ({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": "http://mq"}, "ASYA_RABBITMQ_URL"),
        ({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_HOST": "mq", "ASYA_RABBITMQ_PORT": "x"}, "ASYA_RABBITMQ_PORT"),
        ({"ASYA_DATABASE_URL": "postgresql://db", "ASYA_PREFETCH": "0"}, "ASYA_PREFETCH"),
    ],
)
def test_a_mistake_names_its_variable(environment: dict[str, str], named: str) -> None:
    with pytest.raises(TransportSettingsError, match=named):
        transport_settings(environment)


def test_no_actor_may_bear_the_name_that_the_queue_of_dead_letters_has() -> None:
    """The two packages import nothing of one another, so each holds the name."""
    assert naming.DEAD_LETTERS == names.DEAD_LETTERS
