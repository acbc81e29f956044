"""Features of `AsyncOtpClient` only: deadlines, cancellation, concurrent calls, event loops."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from client.test_calls import APPROVED, ID, PENDING, PHONE
from support import scripted_service
from support.python_clients import needs_httpx
from support.scripted_service import Handler, ScriptedService, hangs, proof_of, redeems, says

from otp_service_client import AsyncOtpClient, OutcomeUnknown

SECRET_KEY = "sk_never_shown_anywhere"


@pytest.fixture(autouse=True)
def _httpx() -> None:
    needs_httpx()


def trickles(handler: Handler) -> None:
    """Send one byte of the body every few milliseconds, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.close_connection = True
    try:
        while not handler.script.stopped.wait(0.02):
            handler.wfile.write(b" ")
    except OSError:
        return


def with_client(service: ScriptedService, use: Callable[[AsyncOtpClient], Any], timeout: float = 0.3) -> Any:
    async def main() -> Any:
        async with AsyncOtpClient(service.url, SECRET_KEY, timeout=timeout) as client:
            return await use(client)

    return asyncio.run(main())


@pytest.mark.parametrize("answer", [hangs, trickles], ids=["silent", "trickling"])
def test_attempt_ends_at_its_deadline(service: ScriptedService, answer: scripted_service.Answer) -> None:
    service.will(answer)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown) as failure:
        with_client(service, lambda c: c.verify(PHONE, ID, "012345"))

    assert failure.value.cause == "TimeoutError"
    assert time.monotonic() - began < 3
    assert len(service.calls) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-unknown"])
def test_compressed_response_is_not_read(service: ScriptedService, encoding: str) -> None:
    """A few bytes could become gigabytes. The client asks for responses that are not compressed."""
    service.will(says(200, APPROVED, Content_Encoding=encoding))
    with pytest.raises(OutcomeUnknown) as failure:
        with_client(service, lambda c: c.verify(PHONE, ID, "012345"))

    assert failure.value.cause == "unreadable answer"
    assert service.calls[0].headers["Accept-Encoding"] == "identity"


def test_concurrent_calls_get_the_responses_to_their_own_calls(service: ScriptedService) -> None:
    service.always = redeems
    phones = [f"+86139{number:08d}" for number in range(30)]
    proofs = [proof_of(f"{number:022d}", phone) for number, phone in enumerate(phones)]

    async def use(client: AsyncOtpClient) -> list[str]:
        places = asyncio.Semaphore(5)  # as many connections as the server's backlog holds

        async def phone_of(proof: str) -> str:
            async with places:
                return (await client.redeem(proof, purpose="login")).phone

        return await asyncio.gather(*map(phone_of, proofs))

    assert with_client(service, use, timeout=20) == phones


def test_connection_is_kept_between_calls(service: ScriptedService) -> None:
    service.always = says(204)

    async def use(client: AsyncOtpClient) -> None:
        for _ in range(3):
            await client.cancel(PHONE, ID)

    with_client(service, use)

    assert len({call.peer for call in service.calls}) == 1


def test_canceled_call_is_not_repeated_and_its_connection_not_used_again(service: ScriptedService) -> None:
    arrived = threading.Event()

    def hangs_on(handler: Handler) -> None:
        arrived.set()
        hangs(handler)

    service.will(hangs_on, says(204))

    async def use(client: AsyncOtpClient) -> None:
        task = asyncio.create_task(client.status(PHONE, ID))
        assert await asyncio.to_thread(arrived.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.cancel(PHONE, ID)

    with_client(service, use, timeout=5)

    assert [call.path for call in service.calls] == ["/otp/status", "/otp/cancel"]
    assert service.calls[0].peer != service.calls[1].peer


def test_response_to_another_call_does_not_end_calls_in_progress(service: ScriptedService) -> None:
    """The connections are dropped. A call on one of them gets its response nevertheless."""

    arrived = threading.Event()

    def slowly(handler: Handler) -> None:
        arrived.set()
        handler.script.stopped.wait(0.4)
        says(201, PENDING)(handler)

    async def use(client: AsyncOtpClient) -> str:
        service.will(slowly)
        slow = asyncio.create_task(client.request(PHONE))
        assert await asyncio.to_thread(arrived.wait, 5)
        service.will(says(200, APPROVED | {"verification_id": "w" * 22}))
        with pytest.raises(OutcomeUnknown):
            await client.verify(PHONE, ID, "012345")
        return (await slow).verification_id

    assert with_client(service, use, timeout=5) == ID


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the first loop leaves a connection behind
def test_client_can_be_used_in_one_event_loop_after_another(service: ScriptedService) -> None:
    service.always = says(204)
    client = AsyncOtpClient(service.url, SECRET_KEY, timeout=5)
    for _ in range(2):
        asyncio.run(client.cancel(PHONE, ID))
    asyncio.run(client.aclose())
    del client
    gc.collect()

    assert len({call.peer for call in service.calls}) == 2


def test_client_can_be_used_after_it_was_closed(service: ScriptedService) -> None:
    service.always = says(204)

    async def use(client: AsyncOtpClient) -> None:
        await client.cancel(PHONE, ID)
        await client.aclose()
        await client.cancel(PHONE, ID)

    with_client(service, use)

    assert len(service.calls) == 2
