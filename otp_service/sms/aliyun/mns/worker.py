"""The worker: a thread for each queue. Touches threads, the clock, and the network through the queues."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.mns.collector import WAIT_SECONDS, QueueConsumer, Take
from otp_service.sms.aliyun.mns.key import CALL_SECONDS as KEY_SECONDS
from otp_service.sms.aliyun.mns.key import VERSION, StsTokenProvider
from otp_service.sms.aliyun.mns.queue import CALL_SECONDS, MAX_BODY, Queue
from otp_service.sms.aliyun.protocol.mns import MessageType
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.http import MAX_BODY as MAX_KEY_BODY
from otp_service.sms.http import HttpClient

CONNECT_SECONDS = 3.0


class Queues(Protocol):
    """What is read of the settings of queues; a queue without a name is not read."""

    @property
    def report_queue(self) -> str:
        """Name the queue of reports."""
        ...

    @property
    def inbound_queue(self) -> str:
        """Name the queue of replies."""
        ...

    @property
    def endpoint(self) -> str:
        """Tell where keys are fetched."""
        ...

    @property
    def queue_endpoint(self) -> str:
        """Tell where the queues are."""
        ...


class Account(Protocol):
    """What is read of the settings of a route."""

    @property
    def signature(self) -> str:
        """Name one of Aliyun's two."""
        ...

    def access_keys(self) -> Sequence[tuple[str, str, str]]:
        """Return id, secret and security token of every access key."""
        ...


class Worker:
    """Runs *collectors*, all of which end when *stop* is set. It is used once, for `start` or for `drain`."""

    def __init__(self, collectors: Sequence[QueueConsumer], stop: threading.Event) -> None:
        self._collectors = tuple(collectors)
        self._stop = stop

    @property
    def names(self) -> list[str]:
        """Name the queues as the log does."""
        return [collector.name for collector in self._collectors]

    def start(self) -> None:
        """Collect until `stop`."""
        for collector in self._collectors:
            # Daemons: one that waits for messages has none in hand and is not waited for.
            threading.Thread(target=collector.run, name="collector", daemon=True).start()

    def drain(self) -> bool:
        """Collect what is there, or until `stop`; tell whether all of it was taken."""
        results: list[bool] = []
        threads = [
            threading.Thread(target=lambda c=c: results.append(c.drain()), name="collector", daemon=True)
            for c in self._collectors
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results) == len(threads) and all(results)

    def stop(self, seconds: float) -> bool:
        """Take no more messages, and wait for those in hand; tell whether that was done in *seconds*."""
        self._stop.set()
        ends_at = time.monotonic() + seconds
        return all(collector.finish(max(0, ends_at - time.monotonic())) for collector in self._collectors)


def build_worker(
    queues: Queues, account: Account, *, take: Take, clock: Clock, events: EventLogger
) -> Worker:
    """Build a worker that reads *queues* with keys that *account* may fetch.

    Raises:
        BadEndpoint: an endpoint is not `https://host[:port]`, or `http://` to this machine.
    """
    stop = threading.Event()
    names = {MessageType.SMS_REPORT: queues.report_queue, MessageType.SMS_UP: queues.inbound_queue}
    collectors = [
        QueueConsumer(
            name=str(message_type),
            queue=_queue(queues, account, message_type, name, clock),
            take=take,
            clock=clock,
            events=events,
            stop=stop,
        )
        for message_type, name in names.items()
        if name
    ]
    return Worker(collectors, stop)


def _queue(queues: Queues, account: Account, message_type: MessageType, name: str, clock: Clock) -> Queue:
    api = AliyunApi(
        keys=[AccessKey(*key) for key in account.access_keys()],
        version=VERSION,
        endpoint=queues.endpoint,
        http=_http_client(KEY_SECONDS),
        clock=clock,
        signature=Signature(account.signature),
    )
    keys = StsTokenProvider(api=api, message_type=message_type, queue_name=name, clock=clock)
    http = _http_client(CALL_SECONDS + WAIT_SECONDS, MAX_BODY)
    return Queue(endpoint=queues.queue_endpoint, name=name, keys=keys, http=http, clock=clock)


def _http_client(read_seconds: float, max_body: int = MAX_KEY_BODY) -> HttpClient:
    return HttpClient(
        max_connections=1, connect_seconds=CONNECT_SECONDS, read_seconds=read_seconds, max_body=max_body
    )
