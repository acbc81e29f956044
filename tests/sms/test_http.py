from __future__ import annotations

import gzip
import logging
import shutil
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sms import wire
from sms.wire import OK, TlsWireServer, WireServer, response

from otp_service.sms.http import LOGGERS, MAX_BODY, ConnectFailed, HttpClient, HttpResponse, ResponseLost

SECRET = "13800138000-735196"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(max_connections=8, connect_seconds=0.3, read_seconds=0.4)
    yield client
    client.close()


def post(client: HttpClient, url: str, seconds: float = 5) -> HttpResponse:
    return client.post(f"{url}/?secret={SECRET}", {"Content-Type": "text/plain"}, b"body", seconds=seconds)


def test_response_is_returned_whatever_its_status(client: HttpClient) -> None:
    with WireServer(wire.answers(response(OK, 418, "X-Acs-Request-Id: R"))) as server:
        answer = post(client, server.url)

    assert (answer.status, answer.body, answer.headers["x-acs-request-id"]) == (418, OK, "R")


def test_request_has_only_the_necessary_headers(client: HttpClient) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        post(client, server.url)

    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    assert first == f"POST /?secret={SECRET} HTTP/1.1"
    assert sorted(header.split(":")[0].lower() for header in headers) == [
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
    assert body == "body"


def test_percent_encoding_reaches_the_wire_as_it_was_signed(client: HttpClient) -> None:
    query = "/?SignName=%E4%BA%91%20%2A~%27%28%29%21%2B%2F%25%7C%7B&a=b-_.~"
    with WireServer(wire.answers(response(OK))) as server:
        client.post(server.url + query, {}, b"", seconds=5)

    assert server.requests[0].decode().split(" ")[1] == query


@pytest.mark.parametrize("name", ["Host", "host"])
def test_signed_host_is_the_only_host_header(client: HttpClient, name: str) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        client.post(server.url + "/", {name: "signed.example"}, b"", seconds=5)

    (request,) = server.requests
    assert request.lower().count(b"\r\nhost: ") == 1
    assert f"\r\n{name}: signed.example\r\n".encode() in request


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\n", "/\x00", "/\x7f"])
def test_target_cannot_inject_a_header(client: HttpClient, target: str) -> None:
    with WireServer(wire.answers(response(OK))) as server, suppress(ConnectFailed):
        client.post(server.url + target, {}, b"", seconds=5)

    for request in server.requests:
        first, *others = request.decode().split("\r\n")
        assert len(first.split(" ")) == 3
        assert first.isprintable()
        assert not any(line.startswith("X") for line in others)


@pytest.mark.parametrize("header", ["X", "X\r\nY"])
@pytest.mark.parametrize("value", ["a\r\nEvil: b", "a\nEvil: b", "a\rEvil: b", "\u4e91"])
def test_header_that_cannot_be_sent_sends_nothing(client: HttpClient, header: str, value: str) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        with pytest.raises(ConnectFailed) as error:
            client.post(server.url + "/", {header: value}, b"", seconds=5)
        assert server.requests == []

    _assert_clean(error.value)


def test_cookies_are_not_kept(client: HttpClient) -> None:
    with WireServer(wire.answers(response(OK, 200, "Set-Cookie: a=b"))) as server:
        for _ in range(2):
            post(client, server.url)

    assert b"cookie" not in server.requests[1].lower()


def test_connections_are_reused_across_threads(client: HttpClient) -> None:
    with WireServer(wire.answers(response(OK))) as server:
        for _ in range(10):
            post(client, server.url)
        assert server.connections == 1
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: post(client, server.url), range(80)))
        assert 1 <= server.connections <= 9


def test_idle_connection_closed_by_the_server_is_not_reused(client: HttpClient) -> None:
    with WireServer(wire.answers_and_hangs_up(response(OK))) as server:
        for _ in range(5):
            assert post(client, server.url).body == OK
            time.sleep(0.05)

        assert server.connections == 5


def test_connection_close_is_obeyed(client: HttpClient) -> None:
    with WireServer(wire.answers(response(OK, 200, "Connection: close"))) as server:
        for _ in range(3):
            assert post(client, server.url).body == OK

        assert server.connections == 3


def test_connection_closed_during_a_request_may_have_carried_it(client: HttpClient) -> None:
    with WireServer(wire.in_turn(wire.answers(response(OK)), wire.hangs_up)) as server:
        post(client, server.url)
        with pytest.raises(ResponseLost) as error:
            post(client, server.url)

        assert error.value.reason == "RemoteDisconnected"
        assert len(server.requests) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

BAD = {
    "hang-up": wire.hangs_up,
    "reset": wire.resets(),
    "reset after the head": wire.resets(response(OK)[:-60]),
    "stall": wire.stalls,
    "no HTTP at all": wire.answers_and_hangs_up(b"220 smtp.example.org ESMTP\r\n"),
    "truncated body": wire.answers_and_hangs_up(response(OK, length=len(OK) + 10)),
    "body that stalls": wire.answers(response(OK, length=len(OK) + 10)),
    "dripping body": wire.drips(b" " * 500, after=response(b"", length=500)),
    "broken chunks": wire.answers_and_hangs_up(CHUNKED + b'5\r\n{"Cod\r\nzz\r\n'),
    "broken gzip": wire.answers(response(b"no gzip", 200, "Content-Encoding: gzip")),
    "gzip bomb": wire.answers(response(gzip.compress(bytes(50_000_000)), 200, "Content-Encoding: gzip")),
    "huge body": wire.answers(response(b" " * (MAX_BODY + 1))),
    "half a status": wire.answers_and_hangs_up(b"HTTP/1.1 20"),
    "head without a body": wire.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n"),
    "no status": wire.answers_and_hangs_up(b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"),
    "status of four digits": wire.answers_and_hangs_up(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    "another protocol": wire.answers_and_hangs_up(b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n"),
    "two lengths": wire.answers(response(OK, 200, "Content-Length: 5")),
    "only a hint": wire.answers(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    "chunks without an end": wire.answers_and_hangs_up(CHUNKED + b'5\r\n{"Cod\r\n'),
    "half a chunk": wire.answers_and_hangs_up(CHUNKED + b'5\r\n{"C'),
    "long line": wire.answers(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n"),
    "endless head": wire.answers(b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 200),
}


@pytest.mark.parametrize("name", BAD)
def test_incomplete_or_malformed_response_is_lost(client: HttpClient, name: str) -> None:
    began = time.monotonic()
    with WireServer(BAD[name]) as server:
        with pytest.raises(ResponseLost) as error:
            post(client, server.url)
        took = time.monotonic() - began
        assert len(server.requests) == 1

    assert took < 3  # what drips would take ten seconds
    _assert_clean(error.value)


def _assert_clean(error: Exception) -> None:
    assert SECRET not in repr(error) + str(error)
    assert error.__context__ is None
    assert error.__cause__ is None


def test_gzip_bomb_is_not_unpacked(client: HttpClient) -> None:
    with WireServer(BAD["gzip bomb"]) as server:
        tracemalloc.start()
        with pytest.raises(ResponseLost) as error:
            post(client, server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert error.value.reason == "BodyTooLarge"
    assert peak < 2_000_000


def test_truncated_head_still_has_its_status(client: HttpClient) -> None:
    """http.client cannot distinguish it from a complete head, and there is no body to check."""
    with WireServer(wire.answers_and_hangs_up(b"HTTP/1.1 200 OK\r\nContent-Le")) as server:
        answer = post(client, server.url)

    assert (answer.status, answer.body) == (200, b"")


def test_body_of_maximum_size_is_read(client: HttpClient) -> None:
    body = b" " * MAX_BODY
    with WireServer(wire.answers(response(body))) as server:
        assert post(client, server.url).body == body


def test_compressed_response_is_read(client: HttpClient) -> None:
    with WireServer(wire.answers(response(gzip.compress(OK), 200, "Content-Encoding: gzip"))) as server:
        assert post(client, server.url).body == OK


def test_chunked_response_is_read(client: HttpClient) -> None:
    chunks = b"3\r\n" + OK[:3] + b"\r\n%x;x=y\r\n" % (len(OK) - 3) + OK[3:] + b"\r\n0\r\nTrailer: x\r\n\r\n"
    with WireServer(wire.answers(CHUNKED + chunks)) as server:
        assert [post(client, server.url).body for _ in range(3)] == [OK] * 3
        assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_never_have_a_body(client: HttpClient, status: int) -> None:
    with WireServer(wire.answers(response(b"", status, length=13))) as server:
        assert [post(client, server.url).body for _ in range(2)] == [b"", b""]


@pytest.mark.parametrize("pause", [0.0, 0.1], ids=["at once", "later"])
def test_response_after_1xx_is_not_assigned_to_the_next_request(client: HttpClient, pause: float) -> None:
    """The outcome of one SMS must never be read as that of another."""

    def hints_first(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        time.sleep(pause)
        connection.sendall(response(b"to the first"))

    with WireServer(wire.in_turn(hints_first, wire.answers(response(b"to the second")))) as server:
        with pytest.raises(ResponseLost):
            post(client, server.url)
        assert post(client, server.url).body == b"to the second"


def test_failures_release_their_connections(client: HttpClient) -> None:
    failures = [BAD["huge body"], BAD["truncated body"], BAD["broken gzip"]] * 5
    with WireServer(wire.in_turn(*failures, wire.answers(response(OK)))) as server:
        for _ in range(15):
            with pytest.raises(ResponseLost):
                post(client, server.url)
        assert post(client, server.url).body == OK


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(client: HttpClient, status: int) -> None:
    with WireServer(wire.answers(response(OK))) as elsewhere:
        away = response(b"", status, f"Location: {elsewhere.url}")
        with WireServer(wire.answers(away)) as server:
            assert post(client, server.url).status == status

        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_nothing_is_retried(client: HttpClient, status: int) -> None:
    with WireServer(wire.answers(response(b"", status, "Retry-After: 0"))) as server:
        post(client, server.url)

        assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_lost_response_is_not_retried(client: HttpClient, method: str) -> None:
    with WireServer(wire.hangs_up) as server:
        with pytest.raises(ResponseLost):
            client.request(method, f"{server.url}/", {}, b"", seconds=5)

        assert len(server.requests) == 1


def test_deadline_limits_the_read_timeout(client: HttpClient) -> None:
    with WireServer(wire.stalls) as server:
        began = time.monotonic()
        with pytest.raises(ResponseLost):
            post(client, server.url, seconds=0.1)

    assert time.monotonic() - began < 0.35


# ── nothing sent ──


def test_refused_connection_is_not_sent(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ConnectFailed) as error:
        post(client, f"http://127.0.0.1:{port}")
    assert error.value.reason == "ConnectionRefusedError"
    _assert_clean(error.value)


def test_unknown_host_is_not_sent(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = []

    def fails(*_: object) -> None:
        lookups.append(_)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(ConnectFailed) as error:
        post(client, "https://nowhere.invalid")
    assert error.value.reason == "gaierror"
    assert len(lookups) == 1
    _assert_clean(error.value)


def test_connect_timeout_is_not_sent(client: HttpClient) -> None:
    with ExitStack() as stack:
        port = wire.full_queue(stack).getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ConnectFailed) as error:
            post(client, f"http://127.0.0.1:{port}")

    assert time.monotonic() - began < 1
    assert error.value.reason == "TimeoutError"
    _assert_clean(error.value)


def test_connection_established_after_the_deadline_sends_nothing(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo

    def slowly(*args: object, **kwargs: object) -> object:
        time.sleep(0.1)
        return resolve(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with WireServer(wire.answers(response(OK))) as server:
        with pytest.raises(ConnectFailed):
            post(client, server.url, seconds=0.05)
        assert server.requests == []


def test_next_address_is_tried_when_one_is_refused(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.resolve_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    with WireServer(wire.answers(response(OK))) as server:
        assert post(client, server.url.replace("127.0.0.1", "provider.example")).body == OK


def test_name_without_an_address_is_not_sent(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.resolve_to(monkeypatch)
    with pytest.raises(ConnectFailed):
        post(client, "http://provider.example")


def test_unread_request_times_out(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        with pytest.raises(ResponseLost):
            client.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, bytes(20_000_000), seconds=5)

    assert time.monotonic() - began < 0.8


def test_tls_handshake_that_stalls_is_not_sent(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ConnectFailed) as error:
        post(client, f"https://127.0.0.1:{listener.getsockname()[1]}")

    _assert_clean(error.value)


def test_tls_to_a_plain_server_is_not_sent(client: HttpClient) -> None:
    def refuses(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuses, args=(listener,))
        thread.start()
        with pytest.raises(ConnectFailed) as error:
            post(client, f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()

    _assert_clean(error.value)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and an untrusted certificate for 127.0.0.1."""
    return wire.make_certificate(tmp_path_factory.mktemp("tls"))


def test_untrusted_certificate_is_not_sent(client: HttpClient, certificate: Path) -> None:
    with TlsWireServer(wire.answers(response(OK)), certificate) as server:
        with pytest.raises(ConnectFailed) as error:
            post(client, server.url)
        assert server.requests == []

    assert error.value.reason == "SSLCertVerificationError"
    _assert_clean(error.value)


@pytest.fixture
def trusting_client(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpClient]:
    monkeypatch.setattr("requests.certs.where", lambda: str(certificate / "cert.pem"))
    client = HttpClient(max_connections=2, read_seconds=0.4)
    yield client
    client.close()


def test_trusted_certificate_is_accepted(trusting_client: HttpClient, certificate: Path) -> None:
    with TlsWireServer(wire.answers(response(OK)), certificate) as server:
        assert post(trusting_client, server.url).body == OK
        assert post(trusting_client, server.url).body == OK
        assert server.connections == 1


def test_certificate_of_another_host_is_not_sent(trusting_client: HttpClient, certificate: Path) -> None:
    with TlsWireServer(wire.answers(response(OK)), certificate) as server:
        with pytest.raises(ConnectFailed) as error:
            post(trusting_client, server.url.replace("127.0.0.1", "localhost"))
        assert server.requests == []

    assert error.value.reason == "SSLCertVerificationError"


def test_trusted_certificates_are_read_once_for_all_connections(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = shutil.copy(certificate / "cert.pem", tmp_path)  # no other test has loaded this file
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(context: ssl.SSLContext, *certificates: str | None) -> None:
        read.append(certificates)
        load(context, *certificates)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    monkeypatch.setattr("requests.certs.where", lambda: str(trusted))
    client = HttpClient(max_connections=2)
    ended = wire.answers_and_hangs_up(response(OK, 200, "Connection: close"))
    with TlsWireServer(ended, certificate) as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: post(client, server.url).body, range(8)))
        assert server.connections > 1
    client.close()

    assert answers == [OK] * 8
    assert len(read) == 1


@pytest.mark.parametrize("name", ["hang-up", "reset", "stall", "truncated body", "dripping body"])
def test_failure_after_the_tls_handshake_is_a_lost_response(
    trusting_client: HttpClient, certificate: Path, name: str
) -> None:
    began = time.monotonic()
    with TlsWireServer(BAD[name], certificate) as server:
        with pytest.raises(ResponseLost) as error:
            post(trusting_client, server.url)
        took = time.monotonic() - began
        assert len(server.requests) == 1

    assert took < 3  # what drips would take ten seconds
    _assert_clean(error.value)


# ── the environment and the logs ──


def test_netrc_is_not_read(client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login other password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    with WireServer(wire.answers(response(OK))) as server:
        client.post(server.url + "/", {"Authorization": "ACS3-HMAC-SHA256 ours"}, b"", seconds=5)

    assert b"Authorization: ACS3-HMAC-SHA256 ours\r\n" in server.requests[0]


def test_proxies_of_the_environment_are_not_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        WireServer(wire.answers(response(b"proxy"))) as proxy,
        WireServer(wire.answers(response(OK))) as server,
    ):
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)

        assert post(client, server.url).body == OK
        assert proxy.requests == []


def test_no_log_shows_the_request(client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, name)
    malformed = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n bad header " + SECRET.encode() + b"\r\n\r\n{}"
    for behave in (wire.answers(response(OK)), wire.answers(malformed), *BAD.values()):
        with WireServer(behave) as server:
            try:
                post(client, server.url)
            except ResponseLost:
                logging.getLogger("test").exception("lost")

    assert "ResponseLost" in caplog.text
    assert SECRET not in caplog.text
    assert {record.name for record in caplog.records} == {"test"}


def test_requests_of_other_code_are_still_logged(
    client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with WireServer(wire.answers(response(OK))) as server:
        post(client, server.url)
        logging.getLogger("urllib3.connectionpool").debug("a foreign request")

    assert caplog.messages == ["a foreign request"]


def test_every_logger_of_urllib3_is_silenced() -> None:
    existing = logging.getLogger().manager.loggerDict
    named = {n for n, logger in existing.items() if isinstance(logger, logging.Logger)}

    assert {name for name in named if name.startswith("urllib3.")} == set(LOGGERS)
