from __future__ import annotations

import io
from http.client import HTTPException, RemoteDisconnected

import pytest

from otp_service.sms.response import MAX_FIELDS, MAX_LINE, MalformedHead, Response

BODY = b'{"Code":"OK"}'


class Wire:
    """A socket that has been sent *data*, and no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def begun(*head: str, body: bytes = BODY, first: str = "HTTP/1.1 200 OK") -> Response:
    data = "\r\n".join((first, *head, "", "")).encode("latin-1") + body
    response = Response(Wire(data), method="POST")  # type: ignore[arg-type]
    response.begin()
    return response


def test_head_is_read() -> None:
    response = begun("Content-Length: 13", "X-Acs-Request-Id:  R \t", "Via: a", "via: b")

    assert response.status == 200
    assert response.fields == {"content-length": "13", "x-acs-request-id": "R", "via": "a, b"}
    assert response.read(100) == BODY


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_lines_may_end_as_they_like(line_end: str) -> None:
    data = line_end.join(("HTTP/1.1 418 Teapot", "Content-Length: 0", "", "")).encode()
    response = Response(Wire(data), method="POST")  # type: ignore[arg-type]
    response.begin()

    assert (response.status, response.length) == (418, 0)


def test_what_comes_on_the_way_is_no_answer() -> None:
    response = begun(
        "", "HTTP/1.1 103 Early Hints", "Link: x", "", "HTTP/1.1 200 OK", "Content-Length: 13",
        first="HTTP/1.1 100 Continue",
    )  # fmt: skip

    assert (response.status, response.fields) == (200, {"content-length": "13"})
    assert response.read(100) == BODY


CHUNKED = b'3\r\n{"C\r\na;x=y\r\node":"OK"}\r\n0\r\nTrailer: x\r\n\r\n'


@pytest.mark.parametrize("told", [(), ("Content-Length: 5",)], ids=["alone", "beside a length"])
def test_chunks_are_read(told: tuple[str, ...]) -> None:
    response = begun("Transfer-Encoding: Chunked", *told, body=CHUNKED)

    assert response.read(100) == BODY
    assert not response.will_close


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    response = begun("Content-Length: 13", first=f"HTTP/1.1 {status} Whatever")

    assert response.read(100) == b""


@pytest.mark.parametrize(
    ("first", "head", "will_close"),
    [
        ("HTTP/1.1 200 OK", ["Content-Length: 13"], False),
        ("HTTP/1.1 200 OK", ["Content-Length: 13", "Connection: Keep-Alive"], False),
        ("HTTP/1.1 200 OK", ["Content-Length: 13", "Connection: foo, Close"], True),
        ("HTTP/1.1 200 OK", ["Content-Length: 13", "Connection: foo", "Connection: close"], True),
        ("HTTP/1.1 200 OK", [], True),
        ("HTTP/1.0 200 OK", ["Content-Length: 13"], True),
        ("HTTP/1.0 200 OK", ["Content-Length: 13", "Connection: keep-alive"], False),
    ],
)
def test_connection_is_kept_where_the_answer_has_an_end(
    first: str, head: list[str], will_close: object
) -> None:
    response = begun(*head, first=first)

    assert response.will_close is will_close
    assert response.read(100) == BODY


MALFORMED = {
    "two lengths": ["Content-Length: 13", "Content-Length: 5"],
    "the same length twice": ["Content-Length: 13", "Content-Length: 13"],
    "length below zero": ["Content-Length: -1"],
    "length with a sign": ["Content-Length: +13"],
    "length that is no number": ["Content-Length: x"],
    "length in other digits": ["Content-Length: \xb2"],
    "length without end": ["Content-Length: " + "9" * 19],
    "unknown encoding": ["Transfer-Encoding: gzip, chunked"],
    "chunked twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "no colon": ["Content-Length 13"],
    "space before the colon": ["Content-Length : 13"],
    "folded line": ["X-A: b", " Content-Length: 13"],
    "no name": [": 13"],
    "too many fields": [f"X-{number}: x" for number in range(MAX_FIELDS + 1)],
    "long line": ["X-A: " + "x" * MAX_LINE],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_head_that_can_be_read_in_two_ways_is_none(name: str) -> None:
    with pytest.raises(MalformedHead):
        begun(*MALFORMED[name])


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"],
    ids=["no empty line", "half a line"],
)
def test_half_a_head_is_none(data: bytes) -> None:
    with pytest.raises(MalformedHead):
        Response(Wire(data), method="POST").begin()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "first",
    ["220 smtp.example.org ESMTP", "HTTP/2 200", "HTTP/1.1 OK", "HTTP/1.1 2000 OK", "HTTP/9.9 200 OK"],
)
def test_other_protocols_are_not_read(first: str) -> None:
    with pytest.raises(HTTPException):
        begun("Content-Length: 13", first=first)


def test_nothing_is_told_from_something() -> None:
    with pytest.raises(RemoteDisconnected):
        Response(Wire(b""), method="POST").begin()  # type: ignore[arg-type]
