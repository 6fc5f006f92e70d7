"""Configurations of push notifications, in every dialect (specification 1.0, sections 3.1.7 to 3.1.10)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_crds import jsontext
from asya_gateway.domain.calls import Accepted, Call
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.ids import new_task_id
from asya_gateway.protocols.a2a.dialects.known import METHODS, Operation
from asya_gateway.protocols.http.keys import TASKS
from tests.support.a2a import SKILLS, conforms, envelope, rpc, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import store_key
from tests.support.mcp import Actor, serve_tools
from tests.support.principals import bearer

URL = "https://203.0.113.7/hook"
"""An address of documentation. It is allowed below, and nothing is sent there."""
AUTHENTICATION = {"scheme": "Bearer", "credentials": "s3cret"}
PUSHES = [name for name, (_, operation) in METHODS.items() if "push" in operation]


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, outbound_allow=["203.0.113.0/24"]) as made:
        serve_tools(made, SKILLS)
        yield made


async def task(gateway: Gateway, **headers: str) -> str:
    sent = {"message": text_message("hi"), "tenant": "echo", "configuration": {"returnImmediately": True}}
    return str((await rpc(gateway, "SendMessage", sent, **headers))["result"]["task"]["id"])


async def called(gateway: Gateway, method: str, **params: Any) -> Any:
    version = "1.0" if METHODS[method][0].newest else None
    return await rpc(gateway, method, params, version=version)


async def created(gateway: Gateway, task_id: str, **more: Any) -> Any:
    return (await called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, url=URL, **more))["result"]


async def ids(gateway: Gateway, task_id: str) -> list[str]:
    answer = await called(gateway, "ListTaskPushNotificationConfigs", taskId=task_id)
    return [config["id"] for config in answer["result"]["configs"]]


async def test_a_configuration_lives_its_life_in_1_0(gateway: Gateway) -> None:
    task_id = await task(gateway)
    made = await created(gateway, task_id, id="one", token="t0ken", authentication=AUTHENTICATION)
    assert made == {"taskId": task_id, "id": "one", "url": URL, "authentication": {"scheme": "Bearer"}}
    conforms(made, "TaskPushNotificationConfig")
    named = {"taskId": task_id, "id": "one"}
    assert (await called(gateway, "GetTaskPushNotificationConfig", **named))["result"] == made
    listed = (await called(gateway, "ListTaskPushNotificationConfigs", taskId=task_id))["result"]
    assert listed == {"configs": [made]}
    conforms(listed, "ListTaskPushNotificationConfigsResponse")
    # 3.1.10: "This operation MUST be idempotent. Multiple deletions of the same config have the same effect."
    for _ in range(2):
        assert (await called(gateway, "DeleteTaskPushNotificationConfig", **named))["result"] == {}
    gone = (await called(gateway, "GetTaskPushNotificationConfig", **named))["error"]
    assert (gone["code"], gone["data"][0]["metadata"]) == (-32001, {"taskId": task_id, "id": "one"})


async def test_a_configuration_lives_its_life_in_0_3(gateway: Gateway) -> None:
    task_id = await task(gateway)
    said = {"url": URL, "token": "t0ken", "authentication": {"schemes": ["Bearer", "Basic"], "credentials": "s3cret"}}
    made = (await called(gateway, "tasks/pushNotificationConfig/set", taskId=task_id, pushNotificationConfig=said))[
        "result"
    ]
    # The SDK of 0.3 calls the configuration without an id as its task.
    kept = {"id": task_id, "url": URL, "authentication": {"schemes": ["Bearer"]}}
    assert made == {"taskId": task_id, "pushNotificationConfig": kept}
    conforms(made, "TaskPushNotificationConfig", "0.3")
    assert (await called(gateway, "tasks/pushNotificationConfig/get", id=task_id))["result"] == made
    assert (await called(gateway, "pushNotification/get", id=task_id))["result"] == made
    assert (await called(gateway, "tasks/pushNotificationConfig/list", id=task_id))["result"] == [made]
    for method in ("tasks/pushNotificationConfig/delete", "pushNotification/delete"):
        answer = await called(gateway, method, id=task_id, pushNotificationConfigId=task_id)
        # "The result is null on successful deletion", and required.
        assert answer == {"jsonrpc": "2.0", "id": 1, "result": None}
        conforms(answer, "DeleteTaskPushNotificationConfigSuccessResponse", "0.3")


async def test_a_configuration_is_read_without_its_id_before_1_0(gateway: Gateway) -> None:
    task_id = await task(gateway)
    await created(gateway, task_id, id="other")
    answer = await called(gateway, "tasks/pushNotificationConfig/get", id=task_id)
    assert answer["result"]["pushNotificationConfig"]["id"] == "other"


async def test_the_oldest_dialect_has_one_configuration(gateway: Gateway) -> None:
    message = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
    sent = {"id": "own", "message": message, "metadata": {"skill": "echo"}}
    answering = asyncio.create_task(called(gateway, "tasks/send", **sent))
    await Actor(gateway).serve("hi")
    await answering
    config = {"url": URL, "authentication": {"schemes": ["bearer"]}}
    made = (await called(gateway, "tasks/pushNotification/set", id="own", pushNotificationConfig=config))["result"]
    assert made == {"id": "own", "pushNotificationConfig": {**config, "id": "own"}}
    assert (await called(gateway, "tasks/pushNotification/get", id="own"))["result"] == made


async def test_a_client_replaces_its_configuration_by_its_id(gateway: Gateway) -> None:
    task_id = await task(gateway)
    await created(gateway, task_id, id="one", authentication=AUTHENTICATION)
    answer = await called(
        gateway, "CreateTaskPushNotificationConfig", taskId=task_id, id="one", url="https://203.0.113.8/new"
    )
    assert answer["result"] == {"taskId": task_id, "id": "one", "url": "https://203.0.113.8/new"}
    assert await ids(gateway, task_id) == ["one"]


async def test_a_list_has_pages(gateway: Gateway) -> None:
    task_id = await task(gateway)
    for name in ("b", "ä", "a", "c"):
        await created(gateway, task_id, id=name)
    found, token = [], ""
    for _ in range(4):
        params = {"taskId": task_id, "pageSize": 1, "pageToken": token}
        page = (await called(gateway, "ListTaskPushNotificationConfigs", **params))["result"]
        found += [config["id"] for config in page["configs"]]
        token = page.get("nextPageToken", "")
    assert (found, token) == (["a", "b", "c", "ä"], "")
    # The second is the base64 of a NUL, which the database cannot compare.
    for wrong in ("%", "AA", "_w"):
        error = (await called(gateway, "ListTaskPushNotificationConfigs", taskId=task_id, pageToken=wrong))["error"]
        assert (error["code"], error["data"][0]["fieldViolations"][0]["field"]) == (-32602, "pageToken")


INLINE: list[tuple[str, dict[str, Any]]] = [
    (
        "SendMessage",
        {
            "message": text_message("hi"),
            "metadata": {"skill": "echo"},
            "configuration": {"returnImmediately": True, "taskPushNotificationConfig": {"url": URL, "id": "mine"}},
        },
    ),
    (
        "message/send",
        {
            "message": {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]},
            "metadata": {"skill": "echo"},
            "configuration": {"blocking": False, "pushNotificationConfig": {"url": URL, "id": "mine"}},
        },
    ),
    (
        "tasks/send",
        {
            "id": "own",
            "message": {"role": "user", "parts": [{"type": "text", "text": "hi"}]},
            "metadata": {"skill": "echo"},
            "pushNotification": {"url": URL, "id": "mine"},
        },
    ),
]


@pytest.mark.parametrize(("method", "params"), INLINE, ids=[method for method, _ in INLINE])
async def test_a_message_brings_a_configuration_along(
    gateway: Gateway, actor: Actor, method: str, params: dict[str, Any]
) -> None:
    answering = asyncio.create_task(called(gateway, method, **params))
    task_id = await actor.serve("hi")
    assert "result" in await answering
    assert await ids(gateway, task_id) == ["mine"]
    row = await gateway.running.storage.database.fetchrow("SELECT delivered_seq, options::text AS o FROM destinations")
    assert row is not None
    assert (row["delivered_seq"], jsontext.loads(row["o"])["dialect"]) == (0, METHODS[method][0].name)


@pytest.mark.parametrize(("method", "params"), INLINE, ids=[method for method, _ in INLINE])
async def test_a_message_with_a_wrong_configuration_begins_nothing(
    gateway: Gateway, method: str, params: dict[str, Any]
) -> None:
    text = jsontext.dumps(params).replace(URL, "http://127.0.0.1/")
    error = (await called(gateway, method, **jsontext.loads(text)))["error"]
    assert (error["code"], "otificationConfig.url" in str(error) or "pushNotification.url" in str(error)) == (
        -32602,
        True,
    )
    assert await gateway.stored() == 0


NOTED = """
CREATE TABLE noted (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO noted VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER noting AFTER INSERT OR UPDATE OR DELETE ON destinations FOR EACH ROW EXECUTE FUNCTION note()
"""


async def test_a_refused_message_writes_no_configuration(gateway: Gateway) -> None:
    database = gateway.running.storage.database
    await database.execute(NOTED)
    config = {"returnImmediately": True, "taskPushNotificationConfig": {"url": URL}}
    sent = {"message": text_message("hi"), "tenant": "echo", "configuration": config}
    first = await rpc(gateway, "SendMessage", sent, **{"Idempotency-Key": "k"})
    again = await rpc(gateway, "SendMessage", sent, **{"Idempotency-Key": "k"})
    assert again["result"]["task"]["id"] == first["result"]["task"]["id"]
    other = {**sent, "message": text_message("other")}
    assert "error" in await rpc(gateway, "SendMessage", other, **{"Idempotency-Key": "k"})
    assert [row["what"] for row in await database.fetch("SELECT what FROM noted")] == ["INSERT"]


async def test_a_task_that_may_be_stored_keeps_its_conversation_and_its_configuration(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = gateway.app[TASKS]
    accept, failures = tasks.accept, [Unavailable("away", uncertain=True), Unavailable("away")]

    async def stored_or_not(call: Call) -> Accepted:
        failure = failures.pop(0)
        if failure.uncertain:
            await accept(call)
        raise failure

    monkeypatch.setattr(tasks, "accept", stored_or_not)
    config = {"returnImmediately": True, "taskPushNotificationConfig": {"url": URL}}
    for _ in range(2):
        sent = {"message": text_message("hi"), "tenant": "echo", "configuration": config}
        status, _ = await gateway.post("/a2a/", envelope("SendMessage", sent))
        assert status == 503
    database = gateway.running.storage.database
    for table in ("destinations", "a2a_tasks"):
        rows = await database.fetch(f"SELECT t.id FROM {table} d JOIN tasks t ON t.id = d.task_id")
        assert (len(rows), await database.fetchval(f"SELECT count(*) FROM {table}")) == (1, 1)


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("url", {}),
    ("url", {"url": "ftp://203.0.113.7/"}),
    ("url", {"url": "http://203.0.114.7/"}),
    ("url", {"url": "https://127.0.0.1/"}),
    ("url", {"url": "https://[::ffff:127.0.0.1]/"}),
    ("url", {"url": "https://169.254.169.254/latest/meta-data"}),
    ("url", {"url": "https://user:pass@203.0.113.7/"}),
    ("url", {"url": "https://203.0.113.7/" + "a" * 2048}),
    ("url", {"url": "https://a..b/"}),
    ("url", {"url": "https://[zz::1]/"}),
    ("url", {"url": "https://203.0.113.7/\r\nX-A: b"}),
    ("url", {"url": 7}),
    ("id", {"url": URL, "id": "a" * 256}),
    ("id", {"url": URL, "id": "a\nb"}),
    ("token", {"url": URL, "token": "a\r\nX-Evil: 1"}),
    ("token", {"url": URL, "token": "ü"}),
    ("token", {"url": URL, "token": "a" * 4097}),
    ("authentication.credentials", {"url": URL, "authentication": {"scheme": "Bearer", "credentials": "a\nb"}}),
    ("authentication.scheme", {"url": URL, "authentication": {"scheme": "Bearer\r\nX: y"}}),
    ("authentication.scheme", {"url": URL, "authentication": {"scheme": "two words"}}),
    ("authentication.scheme", {"url": URL, "authentication": {"credentials": "x"}}),
    ("authentication", {"url": URL, "authentication": "Bearer"}),
]


async def test_a_wrong_configuration_is_refused_by_its_member(gateway: Gateway) -> None:
    task_id = await task(gateway)
    seen = []
    for _, config in WRONG:
        error = (await called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, **config))["error"]
        seen.append((error["code"], [each["field"] for each in error["data"][0]["fieldViolations"]]))
    assert seen == [(-32602, [field]) for field, _ in WRONG]


PRIVATE = (
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://[::1]/",
    "https://169.254.169.254/",
    "https://203.0.114.7/",
)


async def test_a_refused_address_names_the_setting_that_opens_others_and_nothing_of_the_network(
    gateway: Gateway,
) -> None:
    task_id = await task(gateway)
    told = set()
    for url in PRIVATE[:-1]:
        error = (await called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, url=url))["error"]
        told.add(error["message"])
    assert told == {"url: its address may not be reached: expected a public one, or one that ASYA_OUTBOUND_ALLOW lists"}
    plain = await called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, url="http://203.0.114.7/")
    assert "ASYA_OUTBOUND_ALLOW" in plain["error"]["message"]


async def test_a_configuration_of_a_task_is_unknown_to_another_tenant(gateway: Gateway) -> None:
    task_id = await task(gateway)
    await created(gateway, task_id, id="one", tenant="echo")
    for method in (name for name in PUSHES if METHODS[name][0].newest):
        params = {"taskId": task_id, "id": "one", "url": URL, "tenant": "numbers"}
        assert (method, (await called(gateway, method, **params))["error"]["code"]) == (method, -32001)
    assert await ids(gateway, task_id) == ["one"]


async def test_a_task_has_ten_configurations(gateway: Gateway) -> None:
    task_id = await task(gateway)
    answers = await asyncio.gather(
        *(called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, id=f"{n}", url=URL) for n in range(12))
    )
    codes = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert codes == [-32602, -32602]
    assert len(await ids(gateway, task_id)) == 10
    assert (await created(gateway, task_id, id=(await ids(gateway, task_id))[0]))["url"] == URL


async def test_an_owner_has_a_thousand_that_wait(gateway: Gateway) -> None:
    task_id = await task(gateway)
    # Young ids, whose tasks may be stored yet, are nothing that retention removes.
    await gateway.running.storage.database.execute(
        "INSERT INTO destinations (task_id, channel, name, owner, url, host, options, delivered_seq, done)"
        " SELECT id, 'a2a', 'x', '', '', '', '{}', 0, n > 999 FROM unnest($1::text[]) WITH ORDINALITY AS u(id, n)",
        [new_task_id() for _ in range(1500)],
    )
    await created(gateway, task_id, id="last")
    error = (await called(gateway, "CreateTaskPushNotificationConfig", taskId=task_id, url=URL))["error"]
    assert (error["code"], "1000" in error["message"]) == (-32603, True)
    assert (await created(gateway, task_id, id="last"))["id"] == "last"


async def test_secrets_are_sealed_in_the_table(gateway: Gateway) -> None:
    task_id = await task(gateway)
    await created(gateway, task_id, token="t0ken", authentication=AUTHENTICATION)
    row = await gateway.running.storage.database.fetchval("SELECT to_json(d)::text FROM destinations d")
    assert "t0ken" not in row
    assert "s3cret" not in row


async def test_without_push_notifications_every_method_says_so(database_url: str) -> None:
    async with start_gateway(database_url, a2a_push=False) as gateway:
        serve_tools(gateway, SKILLS)
        task_id = await task(gateway)
        for method in PUSHES:
            params = {"taskId": task_id, "id": task_id, "url": URL, "pushNotificationConfig": {"url": URL}}
            assert (await called(gateway, method, **params))["error"]["code"] == -32003
        for method, params in INLINE:
            assert (await called(gateway, method, **params))["error"]["code"] == -32003
        _, card = await gateway.get("/.well-known/agent-card.json")
        assert card["capabilities"]["pushNotifications"] is False


async def test_a_foreign_configuration_is_answered_as_one_of_an_unknown_task(database_url: str) -> None:
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    alice, bob = [bearer((await store_key(database_url, name, scopes=scopes)).text) for name in ("alice", "bob")]
    async with start_gateway(database_url, auth="required", outbound_allow=["203.0.113.0/24"]) as gateway:
        serve_tools(gateway, SKILLS)
        theirs = await task(gateway, **alice)
        none = theirs[:-1] + ("0" if theirs[-1] != "0" else "1")
        made = {"taskId": theirs, "id": "one", "url": URL}
        assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", made, **alice)
        for method in PUSHES:
            seen = [await asked_by_another(gateway, method, task_id, bob) for task_id in (theirs, none)]
            assert (method, seen[0]) == (method, seen[1])
            assert (method, "-32001" in seen[0]) == (method, True)
        listed = await rpc(gateway, "ListTaskPushNotificationConfigs", {"taskId": theirs}, **alice)
        assert [config["url"] for config in listed["result"]["configs"]] == [URL]


async def asked_by_another(gateway: Gateway, method: str, task_id: str, headers: dict[str, str]) -> str:
    """The answer, in which the task's id is left out."""
    newest = METHODS[method][0].newest
    of_task = {"taskId": task_id, "id": "one"} if newest else {"id": task_id, "pushNotificationConfigId": "one"}
    params = {**of_task, "url": URL, "pushNotificationConfig": {"url": URL, "id": "one"}}
    answer = await rpc(gateway, method, params, version="1.0" if newest else None, **headers)
    return jsontext.dumps(answer).replace(task_id, "ID")


def test_every_operation_on_configurations_is_tested_here() -> None:
    assert {METHODS[name][1] for name in PUSHES} == {each for each in Operation if each.name.endswith("_PUSH")}
