"""The IP address that a browser's call counts for, read from the store: IPv4, IPv6 and trusted proxies."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import redis_binary, running, skip_or_fail

from otp_service.settings import load

KEY, PAGE = "pk_0123456789abcdefghijklmnop", "https://www.shop.example"


@dataclass(frozen=True)
class Site:
    """A service that listens on IPv4 and IPv6, and trusts what comes from 127.0.0.0/8."""

    deployment: Deployment
    config: Path

    def request_code(self, host: str, forwarded: list[str]) -> int:
        """Request a code from *host*, with an `X-Forwarded-For` line for each of *forwarded*."""
        port = urlsplit(self.deployment.url).port
        connection = http.client.HTTPConnection(host, port, timeout=30)
        body = json.dumps({"phone": new_phone(), "purpose": "login"}).encode()
        connection.putrequest("POST", "/otp/request")
        for name, value in (
            ("Authorization", f"Bearer {KEY}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Origin", PAGE),
            *(("X-Forwarded-For", line) for line in forwarded),
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        status = connection.getresponse().status
        connection.close()
        return status

    def counted(self) -> dict[str, bytes]:
        """Return what the store has counted for each address."""
        with self.deployment.redis.client() as client:
            return {key.decode(): client.get(key) or b"" for key in client.scan_iter("otp:address:*")}

    def key_of(self, network: str) -> str:
        ip_hash = load(self.config, {}).keyring().ip_hash(network)
        return f"otp:address:{{{base64.urlsafe_b64encode(ip_hash).decode()}}}"


def for_pages(text: str) -> str:
    page = f'[clients.shop]\npublishable_key = "{KEY}"\norigins = ["{PAGE}"]\n'
    text = text.replace("[clients.shop]\n", page, 1)
    text = text.replace("[server]\n", '[server]\nhost = "::"\n', 1)
    return text.replace("[service]\n", '[service]\ntrusted_proxies = ["127.0.0.0/8"]\n', 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not socket.has_dualstack_ipv6():
        skip_or_fail("this machine has no IPv6")
    directory = tmp_path_factory.mktemp("site")
    with (
        running(redis_binary()) as redis,
        running_service(redis, directory, change=for_pages) as deployment,
    ):
        yield Site(deployment, directory / "config.toml")


@pytest.mark.parametrize(
    ("host", "forwarded", "network"),
    [
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.9"], "198.51.100.9"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.9", "127.0.0.2"], "198.51.100.9"),
        ("127.0.0.1", ["198.51.100.9", "unknown"], "127.0.0.1"),
        ("127.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["2001:db8:1:2:6:5:4:3"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["::ffff:198.51.100.9"], "198.51.100.9"),
        ("::1", [], "::/64"),
        ("::1", ["198.51.100.9"], "::/64"),
    ],
    ids=[
        "the connection, IPv4 in IPv6 clothes",
        "a proxy's word",
        "two lines",
        "two lines and two proxies",
        "no address among ours",
        "IPv6",
        "the same household",
        "IPv4 in IPv6 clothes",
        "the connection, IPv6",
        "who is no proxy",
    ],
)
def test_call_is_counted_for_one_network(site: Site, host: str, forwarded: list[str], network: str) -> None:
    before = site.counted()
    status = site.request_code(host, forwarded)
    after = site.counted()

    assert status == 201
    assert [key for key in after if after[key] != before.get(key)] == [site.key_of(network)]
