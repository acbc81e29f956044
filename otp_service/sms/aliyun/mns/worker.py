"""The report worker: one thread for each queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.mns.consumer import WAIT_SECONDS, Handle, QueueConsumer
from otp_service.sms.aliyun.mns.queue import CALL_SECONDS, MAX_BODY, Queue
from otp_service.sms.aliyun.mns.sts_token import CALL_SECONDS as TOKEN_SECONDS
from otp_service.sms.aliyun.mns.sts_token import VERSION, StsTokenProvider
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.http import MAX_BODY as MAX_TOKEN_BODY
from otp_service.sms.http import HttpClient

CONNECT_SECONDS = 3.0


class QueueConfig(Protocol):
    """The settings of the queues; a queue without a name is not read."""

    @property
    def report_queue(self) -> str:
        """The name of the queue of delivery reports."""
        ...

    @property
    def inbound_queue(self) -> str:
        """The name of the queue of inbound SMS."""
        ...

    @property
    def endpoint(self) -> str:
        """The URL of the API that issues access keys."""
        ...

    @property
    def queue_endpoint(self) -> str:
        """The URL of the queues."""
        ...


class Account(Protocol):
    """The settings of the account that owns the queues."""

    @property
    def signature(self) -> str:
        """The version of Aliyun's signature: `v1` or `v3`."""
        ...

    def access_keys(self) -> Sequence[tuple[str, str, str]]:
        """Return the id, secret and security token of every access key."""
        ...


class Worker:
    """Runs *consumers* until *stop* is set. Use a worker once, for `start` or for `drain`."""

    def __init__(self, consumers: Sequence[QueueConsumer], stop: threading.Event) -> None:
        self._consumers = tuple(consumers)
        self._stop = stop

    @property
    def names(self) -> list[str]:
        """The names of the queues in the log."""
        return [consumer.name for consumer in self._consumers]

    def start(self) -> None:
        """Consume until `stop`."""
        for consumer in self._consumers:
            # Daemon threads: one that waits for messages has none in progress and need not be waited for.
            threading.Thread(target=consumer.run, name="queue-consumer", daemon=True).start()

    def drain(self) -> bool:
        """Consume the messages that are there, or until `stop`; return whether all were processed."""
        results: list[bool] = []
        threads = [
            threading.Thread(target=lambda c=c: results.append(c.drain()), name="queue-consumer", daemon=True)
            for c in self._consumers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results) == len(threads) and all(results)

    def stop(self, seconds: float) -> bool:
        """Stop consuming and wait for messages in progress; return whether they ended within *seconds*."""
        self._stop.set()
        ends_at = time.monotonic() + seconds
        return all(consumer.finish(max(0, ends_at - time.monotonic())) for consumer in self._consumers)


def build_worker(
    queues: QueueConfig, account: Account, *, handle: Handle, clock: Clock, events: EventLogger
) -> Worker:
    """Build a worker that reads *queues* with access keys of *account*.

    Raises:
        BadEndpoint: an endpoint is not `https://host[:port]`, or `http://` to this machine.
    """
    stop = threading.Event()
    names = {MessageType.SMS_REPORT: queues.report_queue, MessageType.SMS_UP: queues.inbound_queue}
    consumers = [
        QueueConsumer(
            name=str(message_type),
            queue=_queue(queues, account, message_type, name, clock),
            handle=handle,
            clock=clock,
            events=events,
            stop=stop,
        )
        for message_type, name in names.items()
        if name
    ]
    return Worker(consumers, stop)


def _queue(
    queues: QueueConfig, account: Account, message_type: MessageType, name: str, clock: Clock
) -> Queue:
    api = AliyunApi(
        keys=[AccessKey(*key) for key in account.access_keys()],
        version=VERSION,
        endpoint=queues.endpoint,
        http=_http_client(TOKEN_SECONDS),
        clock=clock,
        signature=Signature(account.signature),
    )
    keys = StsTokenProvider(api=api, message_type=message_type, queue_name=name, clock=clock)
    http = _http_client(CALL_SECONDS + WAIT_SECONDS, MAX_BODY)
    return Queue(endpoint=queues.queue_endpoint, name=name, keys=keys, http=http, clock=clock)


def _http_client(read_seconds: float, max_body: int = MAX_TOKEN_BODY) -> HttpClient:
    return HttpClient(
        max_connections=1, connect_seconds=CONNECT_SECONDS, read_seconds=read_seconds, max_body=max_body
    )
