"""The provider: only an explicit success counts as one. All its answers: tests/sms/."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from attacks.target import Answer, Target, at_once, new_phone, running_target


class Reply(NamedTuple):
    """The provider's next answer."""

    status: int
    body: bytes


def says(code: object, status: int = 200, **more: object) -> Reply:
    return Reply(status, json.dumps({"Code": code, "RequestId": "F655A8D5", **more}).encode())


GOOD = says("OK", BizId="900619746936498440^0", Message="OK")

MISLEADING = {
    "lower case": says("ok", BizId="9^0"),
    "a word around it": says("NOT OK"),
    "OK in the message": says("isv.BLACK_KEY_CONTROL_LIMIT", Message="OK"),
    "success with a 500": says("OK", status=500, BizId="9^0"),
    "true": says(code=True),
    "a list": says(["OK"]),
    "no code": Reply(200, b'{"Message":"OK","BizId":"9^0"}'),
    "another name": Reply(200, b'{"code":"OK","BizId":"9^0"}'),
    "one level down": Reply(200, b'{"Body":{"Code":"OK"}}'),
    "an empty body": Reply(200, b""),
    "a page": Reply(200, b"<html>OK</html>"),
    "half of it": Reply(200, GOOD.body[:20]),
    "a redirect": Reply(302, GOOD.body),
    "a refusal in OK's clothes": says("isv.MOBILE_NUMBER_ILLEGAL", BizId="9^0", Message="OK"),
}


class Provider:
    """A server that answers SendSms with `reply` and counts the calls."""

    def __init__(self) -> None:
        self.reply = GOOD
        self.requests = 0


@contextmanager
def scripted() -> Iterator[tuple[Provider, str]]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            provider.requests += b"Action=SendSms" in body or self.headers.get("x-acs-action") == "SendSms"
            status, reply_body = provider.reply
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply_body)))
            self.end_headers()
            self.wfile.write(reply_body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield provider, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def provider_and_target() -> Iterator[tuple[Provider, Target]]:
    with scripted() as (provider, url), running_target(provider_url=url) as target:
        yield provider, target


@pytest.mark.parametrize("case", MISLEADING)
def test_a24_only_an_explicit_ok_is_a_success(
    provider_and_target: tuple[Provider, Target], case: str
) -> None:
    provider, target = provider_and_target
    phone = new_phone()
    provider.reply = MISLEADING[case]
    before = provider.requests

    answer = target.shop.request(phone)

    assert provider.requests == before + 1
    assert answer.status != 201
    assert delivery_of(target, phone, answer) in ("unknown", "refused", "gone")
    provider.reply = GOOD  # so that the circuit opens in neither worker
    good = at_once([lambda: target.shop.request(new_phone())] * 6)
    assert {one.status for one in good} == {201}


def delivery_of(target: Target, phone: str, answer: Answer) -> str:
    """Return the state of the send in the service's own status."""
    if answer.status >= 400:
        assert target.phone_state(phone).live == 0
        return "gone"
    return str(target.shop.status(phone, answer.body["verification_id"]).body["delivery"])
