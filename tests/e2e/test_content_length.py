"""Invalid `Content-Length` headers, sent to `serve` byte for byte: a 400, and nothing is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from support.deployment import Deployment, new_phone, running_service
from support.redis_servers import Server

BAD = {
    "empty": ["Content-Length:"],
    "word": ["Content-Length: abc"],
    "negative": ["Content-Length: -1"],
    "signed": ["Content-Length: +{length}"],
    "hexadecimal": ["Content-Length: 0x20"],
    "fraction": ["Content-Length: {length}.0"],
    "exponent": ["Content-Length: 1e2"],
    "underscore": ["Content-Length: 1_0"],
    "Arabic digits": ["Content-Length: \u0664\u0662"],
    "list of two": ["Content-Length: {length}, 7"],
    "twice, differently": ["Content-Length: {length}", "Content-Length: 7"],
    "endless": ["Content-Length: " + "9" * 400],
    "more than sent": ["Content-Length: 4000"],
}


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path_factory.mktemp("lengths")) as service:
        yield service


@pytest.mark.parametrize("headers", BAD.values(), ids=BAD.keys())
def test_invalid_content_length_is_a_400_and_sends_nothing(service: Deployment, headers: list[str]) -> None:
    phone = new_phone()
    body = f'{{"phone": "{phone}", "purpose": "login"}}'
    raw_headers = [header.replace("{length}", str(len(body))) for header in headers]

    assert status_of(service, raw_headers, body, end=True) in (400, 413)  # 413: a very long number is valid
    assert service.inbox(phone) == []


def test_valid_content_length_is_accepted(service: Deployment) -> None:
    phone = new_phone()
    body = f'{{"phone": "{phone}", "purpose": "login"}}'

    assert status_of(service, [f"Content-Length: {len(body)}"], body, end=False) == 201
    assert len(service.inbox(phone)) == 1


def status_of(service: Deployment, headers: list[str], body: str, *, end: bool) -> int:
    """Return the status of the answer to a request with these lines; *end* then closes the sending side."""
    parts = urlsplit(service.url)
    lines = [
        "POST /otp/request HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: Bearer {service.secrets.secret_key}",
        "Content-Type: application/json",
        *headers,
    ]
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
    return int(answer.split()[1]) if answer else 0
