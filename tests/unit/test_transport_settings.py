"""How the programs' environment variables become a transport's settings."""

import pytest
from yarl import URL

from asya_crds import naming
from asya_transports.description import TransportSettingsError
from asya_transports.known import transport_settings
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.rabbitmq.address import Address
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


def test_pubsub_is_told_by_project_and_an_emulators_endpoint() -> None:
    environment = {"ASYA_TRANSPORT": "pubsub", "ASYA_PUBSUB_PROJECT_ID": "my-project-1"}
    assert transport_settings(environment) == PubSubSettings("my-project-1")
    emulated = transport_settings({**environment, "ASYA_PUBSUB_ENDPOINT": "localhost:8085"})
    assert emulated == PubSubSettings("my-project-1", "localhost:8085")
    assert emulated.place == "my-project-1"


def test_the_place_of_queues_names_no_host() -> None:
    assert PostgresSettings("postgresql://db/asya").place == ""
    assert RabbitSettings("amqp://u:p@mq").place == RabbitSettings("amqp://other").place == "//asya"
    assert RabbitSettings("amqps://u:p@mq:5671/a%2Fb?auth=plain", exchange="other").place == "a/b/other"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ASYA_TRANSPORT": "kafka"}, "ASYA_TRANSPORT"),
        ({}, "ASYA_DATABASE_URL"),
        ({"ASYA_TRANSPORT": "rabbitmq"}, "ASYA_RABBITMQ_URL"),
        ({"ASYA_TRANSPORT": "pubsub"}, "ASYA_PUBSUB_PROJECT_ID"),
        ({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": "http://mq"}, "ASYA_RABBITMQ_URL"),
        ({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_HOST": "mq", "ASYA_RABBITMQ_PORT": "x"}, "ASYA_RABBITMQ_PORT"),
        ({"ASYA_DATABASE_URL": "postgresql://db", "ASYA_PREFETCH": "0"}, "ASYA_PREFETCH"),
    ],
)
def test_a_mistake_names_its_variable(environment: dict[str, str], named: str) -> None:
    with pytest.raises(TransportSettingsError, match=named):
        transport_settings(environment)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:12#34@mq/",
        "amqp://user:12/34@mq:5672/",
        "amqp://user:12?34@mq/",
        "amqp://user:se[cret@mq/",
        "amqp://user:secret@mq:0/",
        "amqp://user:secret@mq:99999/",
        "amqp://user:secret@m%20q/",
        "amqp://user:secret@/",
        "amqp://user:secret@mq/?heartbeat=secret",
        "amqp://user:secret@mq/?timeout=1.5",
        "amqp://user:secret@mq/?auth=secret",
        f"amqp://user:secret@mq/{chr(0xFC) * 128}",
        f"amqp://user:secret@{chr(97) * 64}/",
        "amqp://user:secret@mq..example/",
    ],
)
def test_a_broker_url_that_could_be_misread_is_refused_without_a_piece_of_it(url: str) -> None:
    with pytest.raises(TransportSettingsError) as refused:
        transport_settings({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": url})
    assert str(refused.value).startswith("ASYA_RABBITMQ_URL: ")
    assert not any(piece in str(refused.value) for piece in ("secret", "34", "user:12", "99999"))


@pytest.mark.parametrize(
    "name", ["cacertfile", "verify", "server_name_indication", "auth_mechanism", "cadata", "x" * 50]
)
def test_a_parameter_of_a_broker_url_that_is_not_followed_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(
        TransportSettingsError, match=f"ASYA_RABBITMQ_URL: the parameter {name[:40]} is not known"
    ) as no:
        transport_settings({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": f"amqps://u:s3cret@mq/v?{name}=s3cret"})
    assert "s3cret" not in str(no.value)


@pytest.mark.parametrize("name", ["heartbeat", "timeout", "connection_timeout", "channel_max", "frame_max", "name"])
def test_a_parameter_of_a_broker_url_that_is_followed_or_need_not_be_is_taken(name: str) -> None:
    url = f"amqp://u:p@mq/v?{name}=30"
    settings = transport_settings({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": url})
    assert isinstance(settings, RabbitSettings)
    assert settings.url == url


@pytest.mark.parametrize("password", ["p@ss", "p%zz", "p w", "pä", "p%2Fq"])
def test_publisher_and_receivers_read_one_password_in_a_broker_url(password: str) -> None:
    url = f"amqp://user:{password}@mq/"
    settings = transport_settings({"ASYA_TRANSPORT": "rabbitmq", "ASYA_RABBITMQ_URL": url})
    assert isinstance(settings, RabbitSettings)
    assert Address.parse(settings.url).password == URL(settings.url).password


def test_no_representation_of_a_broker_shows_its_password() -> None:
    url = "amqp://user:hunter2@mq/"
    assert "hunter2" not in repr(RabbitSettings(url))
    assert "hunter2" not in repr(Address.parse(url))


def test_no_actor_may_bear_the_name_that_the_queue_of_dead_letters_has() -> None:
    assert naming.queue_name("ns", naming.DEAD_LETTERS) == "asya-ns-dlq"
    with pytest.raises(ValueError, match="the queue of dead letters"):
        naming.check_own_actor(naming.DEAD_LETTERS)
