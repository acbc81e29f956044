"""Unusually spelled requests, sent byte for byte to `serve` and to gunicorn."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from support.deployment import Deployment, new_phone, running_service
from support.gunicorn_server import running_gunicorn
from support.raw_http import exchange_raw, status_of
from support.redis_servers import Server

HEAD = b"Host: otp.example\r\nConnection: close\r\n"

OTHER_PATHS = {
    "two slashes before a call": b"POST //otp/redeem",
    "two slashes inside a call": b"POST /otp//redeem",
    "a slash after a call": b"POST /otp/redeem/",
    "a dot in a call": b"POST /otp/./redeem",
    "two dots in a call": b"POST /x/../otp/redeem",
    "two slashes before a frequent call": b"POST //otp/verify",
    "a slash after a frequent call": b"POST /otp/verify/",
    "two slashes before a preflight": b"OPTIONS //otp/verify",
    "two slashes before a page": b"GET //readyz",
    "three slashes before a page": b"GET ///healthz",
    "a slash after a page": b"GET /readyz/",
    "two slashes before a hosted page": b"GET //otp/pages/AAAA",
    "two slashes before the form of a hosted page": b"POST //otp/pages/AAAA",
    "a slash after a hosted page": b"GET /otp/pages/AAAA/",
    "two slashes before a hosted page's file": b"GET //otp/page.js",
    "an absolute URL with two slashes": b"GET http://otp.example//readyz",
    "another case": b"GET /READYZ",
    "a path parameter": b"GET /readyz;x",
}
ENCODED_PATHS = {
    "an encoded letter in a call": b"POST /otp/%72edeem",
    "an encoded letter in a frequent call": b"POST /otp/%76erify",
    "an encoded slash in a call": b"POST /otp%2fredeem",
    "an encoded letter in a page": b"GET /%72eadyz",
    "an encoded letter in a hosted page": b"GET /otp/p%61ges/AAAA",
    "an encoded dot": b"GET /otp/page%2ejs",
    "an absolute URL": b"GET http://otp.example/readyz",
}
OTHER_METHODS = {
    "a call": b"post /otp/redeem",
    "a frequent call": b"post /otp/verify",
    "a page": b"get /readyz",
    "a hosted page": b"Get /otp/pages/AAAA",
    "the form of a hosted page": b"pOST /otp/pages/AAAA",
    "a preflight": b"options /otp/verify",
}


@pytest.fixture(scope="module")
def service(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path_factory.mktemp("raw")) as service:
        yield service


@pytest.fixture(scope="module")
def gunicorn(redis_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_gunicorn(redis_server, tmp_path_factory.mktemp("gunicorn")) as (url, _, _):
        yield url


@pytest.fixture(scope="module", params=["serve", "gunicorn"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "gunicorn":
        return str(request.getfixturevalue("gunicorn"))
    return str(request.getfixturevalue("service").url)


def plain(line: bytes) -> bytes:
    return line + b" HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize("line", OTHER_PATHS.values(), ids=OTHER_PATHS.keys())
def test_unusual_spelling_of_a_path_is_a_404(url: str, line: bytes) -> None:
    assert status_of(exchange_raw(url, plain(line))) == 404


@pytest.mark.parametrize("line", ENCODED_PATHS.values(), ids=ENCODED_PATHS.keys())
def test_encoded_path_is_a_404(url: str, line: bytes) -> None:
    assert status_of(exchange_raw(url, plain(line))) == 404


@pytest.mark.parametrize("line", OTHER_METHODS.values(), ids=OTHER_METHODS.keys())
def test_method_in_lower_case_is_refused(url: str, line: bytes) -> None:
    """gunicorn itself answers 400 to an unknown method."""
    assert status_of(exchange_raw(url, plain(line))) in (400, 405)


@pytest.mark.parametrize("line", [b"GET /readyz", b"GET /readyz?x=%72//", b"HEAD /otp/page.js"])
def test_exact_spelling_is_served(url: str, line: bytes) -> None:
    assert status_of(exchange_raw(url, plain(line))) == 200


def call(service: Deployment, headers: bytes, body: bytes) -> bytes:
    """Return the answer to `POST /otp/request` with *headers* and the encoded *body*."""
    key = service.secrets.secret_key.encode()
    head = b"POST /otp/request HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
    return exchange_raw(
        service.url, head + b"Authorization: Bearer " + key + b"\r\n" + headers + b"\r\n" + body
    )


def ask_for(phone: str) -> bytes:
    return json.dumps({"phone": phone, "purpose": "login"}).encode()


CHUNKED = b"Transfer-Encoding: chunked\r\n"


def chunk(content: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(content), extension, content)


@pytest.mark.parametrize("extension", [b"", b";a", b";a=b", b';a="b;c"', b";a=b;c=d"])
def test_chunk_extension_is_skipped(service: Deployment, extension: bytes) -> None:
    phone = new_phone()
    body = ask_for(phone)
    chunks = chunk(body[:7], extension) + chunk(body[7:], extension) + b"0" + extension + b"\r\n\r\n"

    assert status_of(call(service, CHUNKED, chunks)) == 201
    assert len(service.inbox(phone)) == 1


@pytest.mark.parametrize(
    ("trailer", "status"),
    [
        (b"X-Checksum: 1", 201),
        (b"X-Forwarded-For: 192.0.2.1", 201),
        (b"Content-Length: 3", 400),
        (b"Authorization: Bearer none", 400),
    ],
)
def test_trailer_is_skipped_or_refused_and_sets_no_header(
    service: Deployment, trailer: bytes, status: int
) -> None:
    """RFC 9110 §6.5.1 forbids trailers that frame or authenticate the message."""
    phone = new_phone()
    chunks = chunk(ask_for(phone)) + b"0\r\n" + trailer + b"\r\n\r\n"

    assert status_of(call(service, CHUNKED + b"Trailer: X-Checksum\r\n", chunks)) == status
    assert len(service.inbox(phone)) == (status == 201)


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n{}",
    ],
    ids=["no number", "negative", "prefixed", "beyond 64 bits"],
)
def test_broken_chunk_is_a_400(service: Deployment, chunks: bytes) -> None:
    assert status_of(call(service, CHUNKED, chunks)) == 400


def test_100_continue_is_sent_once(service: Deployment) -> None:
    phone = new_phone()
    body = ask_for(phone)
    headers = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(body)

    answer = call(service, headers, body)

    assert answer.count(b"100 Continue") == 1
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")
    assert len(service.inbox(phone)) == 1


@pytest.mark.parametrize("coding", [b"gzip", b"GZIP", b"deflate", b"br", b"gzip, identity"])
@pytest.mark.parametrize("chunked", [False, True], ids=["a length", "chunked"])
def test_compressed_body_is_a_415(service: Deployment, coding: bytes, *, chunked: bool) -> None:
    phone = new_phone()
    body = gzip.compress(ask_for(phone))
    headers = b"Content-Encoding: " + coding + b"\r\n"
    if chunked:
        answer = call(service, headers + CHUNKED, chunk(body) + b"0\r\n\r\n")
    else:
        answer = call(service, headers + b"Content-Length: %d\r\n" % len(body), body)

    assert status_of(answer) == 415
    assert service.inbox(phone) == []
