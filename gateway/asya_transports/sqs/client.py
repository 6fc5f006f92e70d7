"""One client of SQS for one event loop, whose errors are the port's."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, ConnectionClosedError, NoCredentialsError
from botocore.loaders import Loader

from asya_transports.bounded import ended, shielded
from asya_transports.port import TransportUnavailable
from asya_transports.sqs.errors import NotAnswered, meaning
from asya_transports.sqs.settings import LONGEST_WAIT, SqsSettings

POLL_MARGIN = 5.0
"""Seconds after its wait in which the answer of a poll must have come. The driver's own default of 60 s would keep a
receiver waiting for a server that is gone."""
MOST_POLL_MARGIN = 40.0
"""The same after polls that were not answered in time, each of which doubles it: what they would have brought counts as
delivered, so that a service that is slow must not be asked in vain again and again."""
CLOSE_WITHIN = 2.0
REPEATABLE = {
    "change_message_visibility_batch",
    "create_queue",
    "delete_message_batch",
    "delete_queue",
    "get_queue_attributes",
    "get_queue_url",
}
"""Requests that may arrive twice."""
WEB_IDENTITY = "AWS_WEB_IDENTITY_TOKEN_FILE"
"""Set in pods whose ServiceAccount has an IAM role; credentials are then fetched from AWS's token service, STS."""


class SqsClient:
    """Connects at its first call."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._context: Any = None
        self._opening: asyncio.Task[Any] | None = None

    async def call(self, operation: str, within: float | None = None, /, **parameters: Any) -> Any:
        """The answer to one request; `within` seconds, or the settings' request timeout. Raises TransportError
        (errors.py)."""
        seconds = self._settings.request_timeout if within is None else within
        client: Any = None
        try:
            client = await self._opened()
            async with asyncio.timeout(seconds):
                return await _asked(getattr(client, operation), operation, parameters)
        except NoCredentialsError as error:
            # A client looks for credentials when it is made, and never again: the next call makes another one.
            if client is not None and client is self._client:
                await self.close()
            raise _unavailable(error) from error
        except ClientError as error:
            said = error.response.get("Error", {})
            raise meaning(str(said.get("Code", "")), str(said.get("Message", "no reason"))) from error
        except TimeoutError as error:
            raise NotAnswered(f"SQS did not answer {operation} within {seconds:g} s") from error
        except Exception as error:
            # The driver's kinds are many, also RuntimeError (credentials that could not be refreshed) and plain
            # Exception (an answer that nobody can read). One that went through would end a poll or the renewing.
            raise _unavailable(error) from error

    async def open(self) -> None:
        """Make the client now, so that the first call need not; it connects later. Raises TransportUnavailable."""
        try:
            await self._opened()
        except Exception as error:
            raise _unavailable(error) from error

    async def poll(self, url: str, count: int, wait: int, margin: float = POLL_MARGIN) -> list[Any]:
        """Up to `count` messages, as SQS describes them, within `margin` after its wait. Raises TransportError."""
        answer = await self.call(
            "receive_message",
            wait + margin,
            QueueUrl=url,
            MaxNumberOfMessages=count,
            WaitTimeSeconds=wait,
            VisibilityTimeout=self._settings.visibility_timeout,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "DeadLetterQueueSourceArn"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages") or ())

    async def close(self) -> None:
        """Disconnect."""
        opening, self._opening = self._opening, None
        if opening is not None and not opening.done():
            await ended(opening, CLOSE_WITHIN)
        context, self._context, self._client = self._context, None, None
        if context is not None:
            await ended(asyncio.ensure_future(context.__aexit__(None, None, None)), CLOSE_WITHIN)

    async def _opened(self) -> Any:
        opening = self._opening
        if opening is None or (opening.done() and (opening.cancelled() or opening.exception() is not None)):
            opening = self._opening = asyncio.create_task(self._open(), name="sqs-client")
        return await shielded(opening)

    async def _open(self) -> Any:
        await asyncio.to_thread(_read_descriptions)
        session = get_session()
        session.register_component("data_loader", _DESCRIPTIONS)
        settings = self._settings
        config = AioConfig(
            connect_timeout=settings.connect_timeout,
            read_timeout=LONGEST_WAIT + MOST_POLL_MARGIN + POLL_MARGIN,
            max_pool_connections=settings.connections,
            retries={"total_max_attempts": 1},
            # Both take a fifth of the CPU of a request. What we send is made by us, and SQS judges it anyway; the
            # driver puts its own name together anew for each request.
            parameter_validation=False,
            user_agent=f"asya aiobotocore/{aiobotocore.__version__}",
        )
        context = session.create_client(
            "sqs", region_name=settings.region, endpoint_url=settings.endpoint or None, config=config
        )
        self._client = await context.__aenter__()
        self._context = context
        return self._client


async def _asked(ask: Callable[..., Awaitable[Any]], operation: str, parameters: Mapping[str, Any]) -> Any:
    """One that may be repeated is, once, if its connection was closed: SQS closes idle ones, and some just when a
    request is on its way. What a repetition of the others means, their callers know."""
    try:
        return await ask(**parameters)
    except ConnectionClosedError:
        if operation not in REPEATABLE:
            raise
        return await ask(**parameters)


def _unavailable(error: Exception) -> TransportUnavailable:
    return TransportUnavailable(f"SQS is not available: {str(error) or type(error).__name__}")


_DESCRIPTIONS = Loader()
"""Reads the descriptions of the services, and keeps them: for the client of the lease keeper, too."""


def _read_descriptions() -> None:
    """Parsing them takes a tenth of a second, which the event loop must not wait for. Credentials of a pod's role are
    fetched, and fetched again, with STS."""
    for name in ("_retry", "endpoints", "partitions", "sdk-default-configuration"):
        _DESCRIPTIONS.load_data_with_path(name)
    for service in ("sqs", "sts") if os.environ.get(WEB_IDENTITY) else ("sqs",):
        for kind in ("service-2", "endpoint-rule-set-1"):
            _DESCRIPTIONS.load_service_model(service, kind)
