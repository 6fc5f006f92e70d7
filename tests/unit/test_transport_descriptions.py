"""The descriptions of queue systems, without connecting to them."""

import ast
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import asya_transports
from asya_gateway.composition.program import Gateway
from asya_gateway.settings import Settings
from asya_operator.app import warn_of_scaling
from asya_operator.domain.resources.scaled_object import scaled_object
from asya_operator.domain.resources.trigger_authentication import trigger_authentication
from asya_operator.settings import OperatorSettings
from asya_transports import known
from asya_transports.description import (
    TransportDescription,
    TransportSettingsError,
    Trigger,
    TriggerSecret,
    largest_call,
)
from asya_transports.known import DESCRIPTIONS, describe
from asya_transports.rabbitmq.settings import RabbitSettings
from tests.unit.asya_operator.test_actor_objects import AROUND, actor
from tests.unit.test_every_setting import TRANSPORT_NEEDS


def test_every_folder_of_a_queue_system_is_known_by_its_own_name() -> None:
    package = Path(asya_transports.__file__).parent
    assert {path.parent.name for path in package.glob("*/description.py")} == set(DESCRIPTIONS)


def test_descriptions_are_read_without_any_driver() -> None:
    """The operator decides by them, and has none of the drivers' extras."""
    drivers = {driver.partition(".")[0] for each in DESCRIPTIONS.values() for driver in each.drivers} | {"asyncpg"}
    program = f"import sys, asya_transports.known; print(*sorted({drivers!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_what_is_opened_keeps_the_ports_promise(description: TransportDescription) -> None:
    module, _, name = description.transport.partition(":")
    kept = getattr(import_module(module), name)
    for verb in (
        "check",
        "declare",
        "delete",
        "publish",
        "receive",
        "receive_dead_letters",
        "address",
        "depth",
        "close",
    ):
        assert callable(getattr(kept, verb))
    assert kept.name == description.name


def limits_of_the_page() -> dict[str, list[str]]:
    """For each transport the cells of the table of limits in docs/delivery.md, in the order of its rows."""
    page = (Path(__file__).parents[2] / "docs/delivery.md").read_text()
    table = page[page.index("| limit |") :].split("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {name: [row[place] for row in rows] for place, name in enumerate(head) if place}


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_each_declared_limit_is_in_the_page_about_delivery(description: TransportDescription) -> None:
    limits = description.limits
    largest = description.read(TRANSPORT_NEEDS[description.name]).max_message_bytes
    wanted = [
        f"{largest:,}",
        "any" if limits.longest_name is None else f"{limits.longest_name:,}",
        "any" if limits.longest_delay is None else f"{limits.longest_delay:,.0f}",
        "yes" if limits.one_consumer_each else "almost always",
        "refused" if limits.late_answers_noticed else "not noticed",
        "that of publishing" if limits.in_order else "any",
        "known" if limits.depth_known else "not known",
    ]
    found = limits_of_the_page()[description.name]
    assert [cell.partition(" (")[0] for cell in found] == wanted


OF_THE_DATABASE = {"asya_cli/dev/postgres.py": "the programs of the database server that asya dev starts"}


def texts(source: str) -> set[str]:
    """The texts of a program, without those that say something to its readers."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said)
    return {node.value for node in constants if isinstance(node.value, str)}


def test_no_program_names_a_queue_system() -> None:
    """A new one is a folder and a line in known.py."""
    root = Path(__file__).parents[2]
    names = {name for name, found in DESCRIPTIONS.items() for name in (name, *found.drivers)}
    variables = [each.name for found in DESCRIPTIONS.values() for each in (*found.variables, *found.operator_variables)]
    own = [name for name in variables if not name.startswith("ASYA_DATABASE")]
    assert len(own) > 20
    named = {
        (str(file.relative_to(root / package)), text)
        for package in ("crds", "gateway", "operator")
        for file in (root / package).glob("asya_*/**/*.py")
        if not file.is_relative_to(root / "gateway/asya_transports")
        for text in texts(file.read_text())
        if text in names or any(name in text for name in own)
    }
    assert {file for file, _ in named} == OF_THE_DATABASE.keys(), named


def test_a_text_that_names_a_queue_system_is_found() -> None:
    assert texts('"""rabbitmq"""\nif name == "sqs":\n    """postgres"""\n    url = f"{PUBSUB}x"') == {"sqs", "x"}


def test_an_unknown_transport_is_named_with_the_known_ones() -> None:
    with pytest.raises(TransportSettingsError, match=", ".join(DESCRIPTIONS)):
        describe("pigeon")
    with pytest.raises(ValueError, match=", ".join(DESCRIPTIONS)):
        OperatorSettings(transport="pigeon")


def test_the_gateway_reads_the_brokers_address_as_workers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HOST": "mq", "PORT": "5673", "USERNAME": "asya", "PASSWORD": "p@ss"}
    for name, value in given.items():
        monkeypatch.setenv(f"ASYA_RABBITMQ_{name}", value)
    settings = Settings(gateway_mode="api", database_url="postgresql://db/asya", transport="rabbitmq")
    assert settings.queues == describe("rabbitmq").read({f"ASYA_RABBITMQ_{name}": each for name, each in given.items()})
    assert settings.queues == RabbitSettings("amqp://asya:p%40ss@mq:5673/")


@pytest.mark.parametrize("description", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
async def test_the_door_of_a_gateway_takes_as_much_as_its_queue_system(
    description: TransportDescription, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in TRANSPORT_NEEDS[description.name].items():
        monkeypatch.setenv(name, value)
    settings = Settings(gateway_mode="api", database_url="postgresql://db/asya", transport=description.name)
    rules = Gateway(settings).tasks._submitting._rules
    assert rules.max_envelope == largest_call(settings.queues.max_message_bytes)
    assert (rules.transport, rules.bytes_of) == (description.name, description.bytes_of)


def test_what_the_operator_sees_of_secrets_is_that_they_are_set() -> None:
    environment = {"ASYA_RABBITMQ_URL": "amqp://u:secret@mq", "ASYA_RABBITMQ_EXCHANGE": "e", "HOME": "/"}
    seen = describe("rabbitmq").visible(environment)
    assert seen == {"ASYA_RABBITMQ_URL": "(set)", "ASYA_RABBITMQ_EXCHANGE": "e"}


@pytest.mark.parametrize("url", ["amqp://u:pa#ss@mq:5672/", "amqp://u:pa/ss@mq", "amqp://u:secret@[mq/", "amqp:///"])
def test_a_url_that_cannot_be_read_is_refused_without_a_piece_of_the_password(url: str) -> None:
    with pytest.raises(TransportSettingsError, match="percent-encoded") as refused:
        describe("rabbitmq").read({"ASYA_RABBITMQ_URL": url})
    assert not {"pa#ss", "pa/ss", "'pa'", "secret"} & set(str(refused.value).split())


AUTHENTICATION, MANAGEMENT = "ASYA_KEDA_RABBITMQ_AUTH", "ASYA_RABBITMQ_MANAGEMENT_URL"


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ({}, f"set {MANAGEMENT}"),
        ({MANAGEMENT: "http://u:secret@mq:15672/%2F"}, None),
        ({AUTHENTICATION: "ours"}, f"set {MANAGEMENT} and unset {AUTHENTICATION}"),
        ({AUTHENTICATION: "ours", MANAGEMENT: "http://u:secret@mq:15672/%2F"}, f"unset {AUTHENTICATION}"),
    ],
)
def test_the_operator_says_at_its_start_when_keda_will_not_see_busy_workers(
    given: dict[str, str], cure: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    warn_of_scaling(OperatorSettings(transport="rabbitmq"))
    assert (cure is None) == (not caplog.messages)
    if cure is not None:
        assert caplog.messages == [
            "KEDA counts waiting messages only, so it may stop workers that are busy with the last ones: "
            f"{cure} (docs/operations.md)"
        ]
    warn_of_scaling(OperatorSettings(transport="postgres"))
    warn_of_scaling(OperatorSettings(transport="rabbitmq", run_actors=False))
    assert len(caplog.messages) == (cure is not None)


def test_a_new_queue_system_is_scaled_by_its_own_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    """A future queue system, defined only by its description."""
    pigeons = replace(
        known.EMBEDDED,
        name="pigeons",
        trigger=lambda queue, length, _: Trigger(
            "loft", {"q": queue, "n": str(length)}, (TriggerSecret("seed", "SEED"),)
        ),
    )
    monkeypatch.setattr(known, "DESCRIPTIONS", {**DESCRIPTIONS, "pigeons": pigeons})
    tested, around = actor(), replace(AROUND, transport="pigeons")
    scaling = tested.spec.scaling
    assert scaling is not None
    trigger = scaled_object(tested, around, scaling, "asya-n-image-enhance")["spec"]["triggers"][0]
    assert trigger["type"] == "loft"
    assert trigger["metadata"] == {"q": "asya-n-image-enhance", "n": str(scaling.queue_length)}
    document = trigger_authentication(tested, around, scaling, "asya-n-image-enhance")
    assert document is not None
    assert document["spec"]["secretTargetRef"] == [{"parameter": "seed", "name": "asya-transport", "key": "SEED"}]
