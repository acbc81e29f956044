"""Failures: what is retried, what is not, and that no exception contains a secret."""

from __future__ import annotations

import socket
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import redis_servers, scripted_service
from support.python_clients import Connect
from support.scripted_service import (
    Answer,
    ScriptedService,
    breaks_off,
    chatters,
    closes,
    hangs,
    problem,
    resets,
    says,
)

from otp_service_client import (
    OtpClient,
    OtpServiceError,
    OutcomeUnknown,
    ServiceUnreachable,
    Unauthorized,
    UnexpectedAnswer,
    calls,
    transport,
)

SECRET_KEY = "sk_never_shown_anywhere"
PHONE, ID, CODE = "+8613800138000", "v" * 22, "012345"
PROOF = scripted_service.proof_of(verification_id=ID, phone=PHONE)
SECRETS = (SECRET_KEY, "13800138000", CODE, PROOF)

STATUS = {
    "verification_id": ID,
    "status": "pending",
    "purpose": "login",
    "phone_masked": "+86 138****8000",
    "code_length": 6,
    "code_type": "digits",
    "expires_at": "2026-11-23T08:12:41Z",
    "expires_in": 300,
    "resend_at": None,
    "resend_in": None,
    "sends_left": 0,
    "attempts_left": 5,
    "delivery": "accepted",
    "sends": [],
}

ONCE: dict[str, Callable[[OtpClient], object]] = {
    "request": lambda c: c.request(PHONE),
    "resend": lambda c: c.resend(PHONE, ID),
    "verify": lambda c: c.verify(PHONE, ID, CODE),
    "redeem": lambda c: c.redeem(PROOF, purpose="login"),
    "cancel": lambda c: c.cancel(PHONE, ID),
}
FAULTS: dict[str, Answer] = {
    "time-out": hangs,
    "reset": resets,
    "closed": closes,
    "broken off": breaks_off,
    "no HTTP": chatters,
    "gateway": says(502),
}


@pytest.fixture
def client(service: ScriptedService, connect: Connect) -> Iterator[OtpClient]:
    """A client that does not wait long for a service that hangs."""
    with connect(service.url, SECRET_KEY, timeout=0.5) as client:
        yield client


@pytest.fixture
def unreachable(connect: Connect) -> Iterator[OtpClient]:
    """A client of a closed port."""
    with connect(f"http://127.0.0.1:{redis_servers.closed_port()}", SECRET_KEY, timeout=0.3) as client:
        yield client


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE.keys())
def test_request_that_may_have_been_sent_is_not_repeated(
    service: ScriptedService, client: OtpClient, call: Callable[[OtpClient], object], fault: Answer
) -> None:
    service.will(fault, says(204))
    with pytest.raises(OutcomeUnknown):
        call(client)

    assert len(service.calls) == 1


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_status_is_retried_once(service: ScriptedService, client: OtpClient, fault: Answer) -> None:
    service.will(fault, says(200, STATUS))

    assert client.status(PHONE, ID).status == "pending"
    assert len(service.calls) == 2


def test_status_is_not_retried_twice(service: ScriptedService, client: OtpClient) -> None:
    service.will(closes, closes, says(200, STATUS))
    with pytest.raises(OutcomeUnknown):
        client.status(PHONE, ID)

    assert len(service.calls) == 2


def test_refused_request_is_not_retried(service: ScriptedService, client: OtpClient) -> None:
    service.will(problem(401, "unauthorized"), says(200, STATUS))
    with pytest.raises(Unauthorized):
        client.status(PHONE, ID)

    assert len(service.calls) == 1


@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE.keys())
def test_refused_connection_sends_nothing(
    unreachable: OtpClient, call: Callable[[OtpClient], object]
) -> None:
    with pytest.raises(ServiceUnreachable) as failure:
        call(unreachable)

    assert failure.value.cause in {"NewConnectionError", "ConnectionRefusedError"}


@pytest.mark.parametrize("call", ONCE.values(), ids=ONCE.keys())
def test_call_is_retried_when_the_service_restarts(
    service: ScriptedService,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[OtpClient], object],
) -> None:
    """The first attempt fails. During the pause the service starts again."""
    with connect(f"http://127.0.0.1:{redis_servers.closed_port()}", SECRET_KEY, timeout=0.3) as client:
        pauses: list[float] = []

        def restart(seconds: float) -> None:
            pauses.append(seconds)
            client._transport.base_url = service.url

        async def restart_in_loop(seconds: float) -> None:
            restart(seconds)

        monkeypatch.setattr(transport, "sleep", restart)
        if find_spec("httpx") is not None:
            monkeypatch.setattr("otp_service_client.async_transport.sleep", restart_in_loop)
        service.will(problem(401, "unauthorized"))
        with pytest.raises(Unauthorized):
            call(client)

    assert pauses == [calls.RETRY_PAUSE]
    assert len(service.calls) == 1


def test_connect_timeout_sends_nothing(connect: Connect) -> None:
    """A listener whose backlog is full accepts no further connection."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = stack.enter_context(connect(url, SECRET_KEY, timeout=0.2))
        with pytest.raises(ServiceUnreachable) as failure:
            client.request(PHONE)

    assert failure.value.cause in {"ConnectTimeoutError", "ConnectTimeout"}


def test_unresolvable_name_sends_nothing(connect: Connect) -> None:
    with (
        connect("http://otp.invalid", SECRET_KEY, timeout=0.3) as client,
        pytest.raises(ServiceUnreachable),
    ):
        client.request(PHONE)


def test_unreachable_proxy_sends_nothing(service: ScriptedService, connect: Connect) -> None:
    proxies = {"http": f"http://127.0.0.1:{redis_servers.closed_port()}"}
    with (
        connect(service.url, SECRET_KEY, timeout=0.3, proxies=proxies) as client,
        pytest.raises(ServiceUnreachable),
    ):
        client.request(PHONE)

    assert service.calls == []


def test_configured_proxy_is_used(service: ScriptedService, connect: Connect) -> None:
    service.will(says(204))
    with connect("http://otp.invalid", SECRET_KEY, proxies={"http": service.url}) as client:
        client.cancel(PHONE, ID)

    assert service.calls[0].path == "http://otp.invalid/otp/cancel"


def test_proxies_and_netrc_of_the_environment_are_ignored(
    service: ScriptedService, client: OtpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{redis_servers.closed_port()}")
    service.will(says(204))
    client.cancel(PHONE, ID)

    assert service.calls[0].headers["Authorization"] == f"Bearer {SECRET_KEY}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(service: ScriptedService, client: OtpClient, status: int) -> None:
    with scripted_service.serving() as elsewhere:
        service.will(says(status, Location=f"{elsewhere.url}/otp/verify"))
        with pytest.raises(UnexpectedAnswer):
            client.verify(PHONE, ID, CODE)

    assert (elsewhere.calls, elsewhere.gets) == ([], 0)


def test_untrusted_certificate_sends_nothing(tmp_path: Path, connect: Connect) -> None:
    certificate, key = self_signed(tmp_path)
    with scripted_service.serving(certificate, key) as service:
        service.will(says(204), says(204))
        with (
            connect(service.url, SECRET_KEY, timeout=2) as client,
            pytest.raises(ServiceUnreachable) as failure,
        ):
            client.cancel(PHONE, ID)
        assert failure.value.cause == "SSLCertVerificationError"
        assert service.calls == []

        with connect(service.url, SECRET_KEY, timeout=2, ca_bundle=str(certificate)) as client:
            client.cancel(PHONE, ID)
        assert len(service.calls) == 1


def self_signed(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=otp"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    try:
        subprocess.run([*command.split(), *options], check=True, capture_output=True)
    except FileNotFoundError:
        redis_servers.skip_or_fail("openssl is not installed")
    return certificate, key


BAD_RESPONSES = FAULTS | {
    "echo": says(200, PHONE.encode()),
    "echo in JSON": says(200, {"phone": PHONE, "code": CODE, "proof": PROOF}),
    "echo in a fault": says(500, f"{PHONE} {CODE} {PROOF} {SECRET_KEY}".encode()),
    "refusal": problem(401, "unauthorized"),
}


@pytest.mark.parametrize("fault", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
@pytest.mark.parametrize("call", [ONCE["verify"], ONCE["redeem"]], ids=["verify", "redeem"])
def test_exceptions_contain_no_secret(
    service: ScriptedService, client: OtpClient, call: Callable[[OtpClient], object], fault: Answer
) -> None:
    service.will(fault)
    with pytest.raises(OtpServiceError) as failure:
        call(client)
    error = failure.value
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))

    assert [secret for secret in SECRETS if secret in text] == []
    assert (error.__cause__, error.__context__) == (None, None)


def test_unreachable_service_error_contains_no_secret(unreachable: OtpClient) -> None:
    with pytest.raises(ServiceUnreachable) as failure:
        unreachable.verify(PHONE, ID, CODE)

    text = repr(failure.value) + str(failure.value.__cause__)
    assert [secret for secret in SECRETS if secret in text] == []


def test_repr_of_the_client_shows_only_the_base_url(client: OtpClient) -> None:
    assert (
        repr(client)
        == str(client)
        in {
            f"OtpClient({client._transport.base_url})",
            f"AsyncOtpClient({client._transport.base_url})",
        }
    )
    assert SECRET_KEY not in repr(vars(client))


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "otp.example.com",
        "ftp://otp.example.com",
        "https://",
        "https:///otp",
        "https://user:password@otp.example.com",
        "https://otp.example.com?x=1",
        "https://otp.example.com#x",
        "https://otp.example.com/a b",
        "https://otp.example.com\n",
        "https://otp.example.com:99999",
        "https://otp.example.com:0",
        "https://otp.example.com:-1",
        "https://otp.example.com:https",
        "http://::1",
        "http://::1:8080",
        "http://2001:db8::7:8080/otp",
        "http://[::1",
        "http://[::1]x",
        "http://[::g]:8080",
        "http://otp..example.com",
        "https://otp.example.com\\otp",
        "https://otp.example.com\\@example.net",
        f"http://{'a' * 64}.example.com",
    ],
)
def test_invalid_base_url_is_rejected(base_url: str, connect: Connect) -> None:
    with pytest.raises(ValueError, match="base_url"):
        connect(base_url, SECRET_KEY)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://otp.example.com:65535",
        "http://[::1]:8080",
        "http://[2001:db8::7]/otp",
        "http://192.0.2.1:8080",
        "http://otp_service:8080",
        "http://短信.example.com",
        "http://otp.example.com.",
    ],
)
def test_valid_base_url_is_accepted(base_url: str, connect: Connect) -> None:
    with connect(base_url, SECRET_KEY) as client:
        assert repr(client).endswith(f"OtpClient({base_url})")


@pytest.mark.parametrize("key", ["", "sk a", "sk_a\n", "sk_a\r\nX: y", "sk_ä", "\x00"])
def test_invalid_key_is_rejected_and_not_shown(key: str, connect: Connect) -> None:
    with pytest.raises(ValueError, match="secret_key") as refusal:
        connect("https://otp.example.com", key)

    assert not key or key not in str(refusal.value)


@pytest.mark.parametrize("end", ["", "/", "/mounted", "/mounted/"])
def test_service_can_be_mounted_below_a_path(service: ScriptedService, connect: Connect, end: str) -> None:
    service.will(says(204))
    with connect(service.url + end, SECRET_KEY) as client:
        client.cancel(PHONE, ID)

    assert service.calls[0].path == end.rstrip("/") + "/otp/cancel"
