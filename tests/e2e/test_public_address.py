"""`doctor --url`: finds out whether a visitor's own headers change the address that the service uses."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.deployment import Deployment, post, running_service
from support.gunicorn_server import running_gunicorn
from support.raw_http import exchange_raw
from support.redis_servers import Server, closed_port

from otp_service.cli.main import main
from otp_service.domain.address_probe import PATH, SECONDS, AddressProbe
from otp_service.domain.crypto import Keyring

VISITOR = b"198.51.100.9"


@contextmanager
def proxy(upstream: str, *, appends: bool = True, believes_aliases: bool = False) -> Iterator[str]:
    """Run a proxy that appends one visitor's address after all other headers, as HAProxy does.

    With *believes_aliases* it also accepts header names with underscores, like servers that map both names to
    one variable.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines, length, adds_header = [self.rfile.readline()], 0, appends
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                name = line.partition(b":")[0]
                if name.lower() == b"content-length":
                    length = int(line.partition(b":")[2])
                if believes_aliases and b"_" in name:
                    line, adds_header = line.replace(b"_", b"-"), False
                lines.append(line)
            if adds_header:
                lines.append(b"X-Forwarded-For: " + VISITOR + b"\r\n")
            request = b"".join([*lines, b"Connection: close\r\n\r\n", self.rfile.read(length)])
            self.wfile.write(exchange_raw(upstream, request))

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Proxy(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def behind_one_proxy(text: str) -> str:
    return text.replace("[service]\n", "[service]\nproxy_hops = 1\n", 1)


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("address")
    with running_service(redis_server, directory, change=behind_one_proxy) as service:
        yield service


def address_results(url: str, config: Path) -> tuple[int, list[tuple[str, str, str]]]:
    """Return the doctor's exit code, and the status, text and fix of its results about addresses."""
    result = CliRunner().invoke(main, ["doctor", "--json", "--url", url, "--config", str(config)])
    results = json.loads(result.output)["checks"]
    return result.exit_code, [
        (f["status"], f["message"], f["fix"]) for f in results if f["check"] == "address"
    ]


def config_of(service: Deployment) -> Path:
    return service.log.parent / "config.toml"


def probe_of(service: Deployment) -> AddressProbe:
    pseudonym_key = base64.urlsafe_b64decode(service.secrets.pseudonym_key + "=")
    return AddressProbe(Keyring({"a": pseudonym_key}, "a", pseudonym_key))


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For"])
def test_accepted_header_alias_is_reported(service: Deployment, name: str) -> None:
    with proxy(service.url, believes_aliases=True) as url:
        code, results = address_results(url, config_of(service))

    assert code == 2
    assert any(status == "fail" and f"{name} is trusted" in message for status, message, _ in results)
    assert all("underscores" in fix for _, _, fix in results)


def test_a42_serve_accepts_no_header_alias(service: Deployment) -> None:
    with proxy(service.url) as url:
        _, results = address_results(url, config_of(service))

    assert [status for status, _, _ in results] == ["ok"]


@pytest.mark.parametrize("alias", [b"X_Forwarded_For", b"X-Forwarded_For", b"X_Forwarded-For"])
def test_a42_serve_accepts_no_header_alias_in_last_place(service: Deployment, alias: bytes) -> None:
    """A proxy may write its own header before the forwarded ones."""
    own = b"X-Forwarded-For: " + VISITOR + b"\r\n"
    body = json.dumps({"probe": probe_of(service).make("nonce", time.time())}).encode()
    rest = b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    genuine, forged = (
        exchange_raw(service.url, b"POST %s HTTP/1.1\r\nHost: x\r\n" % PATH.encode() + headers + rest + body)
        for headers in (own, own + alias + b": 192.0.2.7\r\n")
    )

    assert b"address_hash" in genuine
    assert forged.rpartition(b"\r\n")[2] == genuine.rpartition(b"\r\n")[2]


def test_proxy_that_forwards_a_visitors_own_header_is_reported(service: Deployment) -> None:
    with proxy(service.url, appends=False) as url:
        code, results = address_results(url, config_of(service))

    assert code == 2
    assert ("fail", "a visitor's own X-Forwarded-For is trusted") in [f[:2] for f in results]


def test_gunicorn_accepts_no_header_alias(redis_server: Server, tmp_path: Path) -> None:
    with (
        running_gunicorn(redis_server, tmp_path, behind_one_proxy) as (upstream, _, config),
        proxy(upstream) as url,
    ):
        _, results = address_results(url, config)

    assert [status for status, _, _ in results] == ["ok"]


def test_unconfigured_proxy_is_a_warning(redis_server: Server, tmp_path: Path) -> None:
    with running_service(redis_server, tmp_path) as service, proxy(service.url) as url:
        _, results = address_results(url, config_of(service))

    ((status, _, fix),) = results
    assert status == "warn"
    assert "service.proxy_hops" in fix


def test_url_without_an_answer_is_a_failure(service: Deployment) -> None:
    code, results = address_results(f"http://127.0.0.1:{closed_port()}", config_of(service))

    assert (code, [status for status, _, _ in results]) == (2, ["fail"])


@pytest.mark.parametrize("url", ["otp.example.com", "ftp://otp.example.com", "https://", "http://a:x"])
def test_invalid_url_is_a_usage_error(service: Deployment, url: str) -> None:
    result = CliRunner().invoke(main, ["doctor", "--url", url, "--config", str(config_of(service))])

    assert result.exit_code == 2
    assert "--url" in result.output


def test_probe_with_another_key_an_expired_one_and_none_get_a_404(service: Deployment) -> None:
    stranger = AddressProbe(Keyring({"a": b"x" * 32}, "a", b"y" * 32))
    bodies: list[object] = [
        {},
        {"probe": 1},
        {"probe": ""},
        {"probe": "\ud800.a.b"},
        {"probe": "1.2.3"},
        {"probe": stranger.make("nonce", time.time())},
        {"probe": probe_of(service).make("nonce", time.time() - SECONDS - 60)},
    ]

    assert [post(f"{service.url}{PATH}", body).status for body in bodies] == [404] * len(bodies)


def test_probe_answer_contains_no_address(service: Deployment) -> None:
    answer = post(
        f"{service.url}{PATH}",
        {"probe": probe_of(service).make("nonce", time.time())},
        X_Forwarded_For="192.0.2.1",
    )

    assert answer.status == 200
    assert set(answer.body) == {"address_hash"}
    assert "192.0.2.1" not in answer.text
