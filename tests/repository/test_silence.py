"""No secret is left in the log, in Redis or on the wire after complete flows at the level `debug`."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from support import redis_servers
from support.deployment import ACCESS_KEY_SECRET, Answer, Deployment, new_phone, running_service

CLIENT_IP = "203.0.113.77"
REFUSED = ["+8613800001001", "+8613800001004", "+8613800001006", "+8613800002001", "+8613800003001"]
UNKNOWN = ["+8613800001014", "+8613800005001", "+8613800005002", "+8613800006001", "+8613800006003"]


@dataclass
class Traces:
    """Everything that a deployment has written, and the secrets that must not be in it."""

    answers: list[str] = field(default_factory=list)
    log: str = ""
    store: bytes = b""
    commands: str = ""
    codes: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    proofs: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    provider: str = ""
    """The inbox of the sandbox."""
    secrets: set[str] = field(default_factory=set)

    def keep(self, answer: Answer) -> Answer:
        self.answers.append(answer.text + repr(answer.headers))
        if isinstance(answer.body, dict) and "verification_id" in answer.body:
            self.ids.add(answer.body["verification_id"])
        return answer


@pytest.fixture(scope="module", params=["v1", "v3"])
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    def signed_by(text: str) -> str:
        return text.replace(
            'provider = "aliyun-sms"', f'provider = "aliyun-sms"\nsignature = "{request.param}"'
        )

    directory = tmp_path_factory.mktemp("silence")
    traces = Traces()
    with (
        redis_servers.running(redis_servers.redis_binary()) as redis_server,
        CommandMonitor(redis_server) as commands,
        running_service(redis_server, directory, change=signed_by) as service,
    ):
        traces.secrets = {*vars(service.secrets).values(), ACCESS_KEY_SECRET}
        good_flow(service, traces)
        wrong_flow(service, traces)
        repeated_flow(service, traces)
        last = open_one(service, traces)
        for phone in UNKNOWN + REFUSED:  # the rejections come last: some of them suspend the route
            traces.phones.add(phone)
            traces.keep(service.request(phone, client_ip=CLIENT_IP))
            traces.codes |= {message["code"] for message in service.inbox(phone)}
        bad_input(service, traces)
        traces.provider = service.inbox_text()
        traces.store = all_values(redis_server)
        store_down(service, redis_server, traces, last)
        time.sleep(0.2)
        traces.commands = "\n".join(commands)
        traces.log = service.log.read_text()
    return traces


def good_flow(service: Deployment, traces: Traces) -> None:
    phone = new_phone()
    traces.phones.add(phone)
    opened = traces.keep(service.request(phone, client_ip=CLIENT_IP)).body
    vid, code = opened["verification_id"], service.code(phone)
    traces.codes.add(code)
    traces.keep(service.post("/otp/status", {"phone": phone, "verification_id": vid}))
    # Only these two answers may contain secrets: verify the proof, verify and redeem the number.
    proof = service.verify(phone, vid, code).body["proof"]
    traces.proofs.add(proof)
    assert service.post("/otp/redeem", {"proof": proof, "purpose": "login"}).status == 200
    traces.keep(service.post("/otp/redeem", {"proof": proof, "purpose": "login"}))
    traces.keep(service.verify(phone, vid, code))


def repeated_flow(service: Deployment, traces: Traces) -> None:
    """Make each call twice with an idempotency key: the stored record must not contain an id."""
    phone = new_phone()
    traces.phones.add(phone)
    key = {"Idempotency_Key": "0b36ee45-7b7a-4f5d-9c3e-000000000001"}
    body = {"phone": phone, "purpose": "login"}
    vid = [traces.keep(service.post("/otp/request", body, **key)) for _ in range(2)][-1].body[
        "verification_id"
    ]
    existing = {"phone": phone, "verification_id": vid}
    traces.codes.add(service.code(phone))
    traces.keep(service.post("/otp/request", existing, **key))
    traces.keep(service.post("/otp/status", existing))
    service.post("/otp/verify", {**existing, "code": service.code(phone)}, **key)
    traces.keep(service.post("/otp/cancel", existing))


def wrong_flow(service: Deployment, traces: Traces) -> None:
    phone = new_phone()
    traces.phones.add(phone)
    vid = traces.keep(service.request(phone)).body["verification_id"]
    traces.codes.add(service.code(phone))
    for _ in range(6):
        traces.keep(service.verify(phone, vid, "000001"))
    traces.keep(service.request(phone))


def bad_input(service: Deployment, traces: Traces) -> None:
    phone = new_phone()
    traces.phones.add(phone)
    traces.keep(service.post(f"/otp/request?phone={phone[1:]}", {"phone": phone, "surprise": phone}))
    traces.keep(service.post("/otp/request", {"phone": [phone], "purpose": "login"}))
    traces.keep(service.post("/otp/request", {phone: "login"}))
    traces.keep(service.post("/otp/request", f'{{"phone": "{phone}", "phone": "{phone}"}}'.encode()))
    traces.keep(service.verify(f"{phone},{phone}", "a" * 22, "123456"))


def open_one(service: Deployment, traces: Traces) -> tuple[str, str, str]:
    phone = new_phone()
    traces.phones.add(phone)
    vid = traces.keep(service.request(phone)).body["verification_id"]
    code = service.code(phone)
    traces.codes.add(code)
    return phone, vid, code


def store_down(
    service: Deployment, redis_server: redis_servers.Server, traces: Traces, last: tuple[str, str, str]
) -> None:
    redis_server.process.kill()
    redis_server.process.wait()
    for answer in (service.request(new_phone()), service.verify(*last), service.get("/readyz")):
        assert traces.keep(answer).status == 503
        assert answer.body["code"] == "store_unavailable"


def all_values(redis_server: redis_servers.Server) -> bytes:
    with redis_server.client() as client:
        parts = [part for key in client.scan_iter() for part in (key, client.get(key) or b"")]
        client.save()
    return b"\n".join(parts) + (redis_server.directory / "dump.rdb").read_bytes()


class CommandMonitor:
    """Records every command that the server receives, until the block ends."""

    def __init__(self, server: redis_servers.Server) -> None:
        self._client = server.client(socket_timeout=None)  # there may be no command for a long time
        self._commands: list[str] = []

    def __enter__(self) -> list[str]:
        self._monitor = self._client.monitor().__enter__()
        threading.Thread(target=self._listen, daemon=True).start()
        return self._commands

    def _listen(self) -> None:
        try:
            for command in self._monitor.listen():
                self._commands.append(command["command"])
        except Exception:  # noqa: BLE001 - the server was killed, or the test is over
            return

    def __exit__(self, *_: object) -> None:
        self._client.close()


def spellings(phone: str) -> re.Pattern[str]:
    """Return a pattern for the national number with usual separators between its digits."""
    return re.compile(r"[\s().%-]*".join(phone.removeprefix("+86")))


@pytest.mark.parametrize("place", ["answers", "log", "store", "commands"])
def test_no_secret_is_left(traces: Traces, place: str) -> None:
    searched = getattr(traces, place)
    text = "\n".join(searched) if isinstance(searched, list) else searched
    text = text.decode("latin-1") if isinstance(text, bytes) else text

    assert text, f"nothing to search in {place}"
    assert traces.codes
    assert [code for code in traces.codes if re.search(rf"(?<!\d){code}(?!\d)", text)] == []
    assert [phone for phone in traces.phones if spellings(phone).search(text)] == []
    assert [proof for proof in traces.proofs if proof in text] == []
    assert [secret[:4] for secret in traces.secrets if secret in text] == []
    assert CLIENT_IP not in text


@pytest.mark.parametrize("place", ["log", "store", "commands", "provider"])
def test_a36_no_verification_id_is_left(traces: Traces, place: str) -> None:
    """An id is enough to use a verification, so only the caller that requested the code gets it."""
    searched = getattr(traces, place)
    text = searched.decode("latin-1") if isinstance(searched, bytes) else searched

    assert len(text) > 1_000, f"nothing to search in {place}"
    assert len(traces.ids) > 3
    assert [verification_id for verification_id in traces.ids if verification_id in text] == []


def test_log_contains_the_events(traces: Traces) -> None:
    """An empty log would pass every search."""
    for event in ('"event":"http_request"', '"event":"sms_send"', '"event":"redis_error"'):
        assert event in traces.log.replace('": "', '":"')
    assert "Traceback" not in traces.log
