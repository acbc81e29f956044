"""JSON bodies: any invalid body gets a 4xx that names the place, and never a 500."""

from __future__ import annotations

import io
import json
from wsgiref.types import WSGIEnvironment

import pytest
from support import fakes
from web.web_app import PHONE, UNKNOWN_ID, WebApp, pointers, problem
from werkzeug.test import create_environ

from otp_service.domain.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from otp_service.web.api import json_body

GOOD = {"phone": PHONE, "verification_id": UNKNOWN_ID, "code": "123456"}


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def changed(**fields: object) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


NO_JSON = {
    "empty": b"",
    "blank": b"  \r\n",
    "not json": b"phone=13800138000",
    "half": b'{"phone": "138',
    "two values": b"{} {}",
    "single quotes": b"{'phone': '13800138000'}",
    "trailing comma": b'{"phone": "13800138000",}',
    "comment": b"{} // nothing",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "invalid utf-8": b'{"phone": "\xff\xfe"}',
    "overlong utf-8": b'{"phone": "\xc0\x80"}',
    "utf-8 surrogate": b'{"phone": "\xed\xa0\x80"}',
    "NUL byte": b'{"phone": "1\x00"}',
    "raw newline in text": b'{"phone": "1\n"}',
    "NaN": b'{"phone": NaN}',
    "Infinity": b'{"phone": Infinity}',
    "-Infinity": b'{"phone": -Infinity}',
    "endless integer": b'{"phone": ' + b"1" * 8000 + b"}",
    "deep arrays": b"[" * 8000,
    "deep closed arrays": b"[" * 4000 + b"]" * 4000,
    "deep objects": b'{"a":' * 1300 + b"1" + b"}" * 1300,
    "deep in a field": b'{"phone":' + b"[" * 4000 + b"]" * 4000 + b"}",
    "null": b"null",
    "true": b"true",
    "number": b"1e5",
    "text": b'"phone"',
    "array": b"[]",
    "array of objects": b"[" + json.dumps(GOOD).encode() + b"]",
}

WRONG_FIELDS = {
    "unknown": (changed(surplus=1), "/surplus"),
    "unknown, empty name": (changed(**{"": 1}), "/…"),
    "unknown, with slash and tilde": (changed(**{"a/b~c": 1}), "/…"),
    "unknown, long name": (changed(**{"x" * 4000: 1}), "/…"),
    "unknown, a phone": (changed(**{"+86 138 0013 8000": 1}), "/…"),
    "unknown, a key": (changed(**{"sk_shop-abcdef": 1}), "/…"),
    "unknown, surrogate name": (b'{"\\ud800": 1}', ""),
    "prototype": (changed(__proto__={}), "/__proto__"),
    "missing": (without("code"), "/code"),
    "null": (changed(code=None), "/code"),
    "integer": (changed(code=123456), "/code"),
    "float": (changed(code=1.5), "/code"),
    "exponent": (b'{"phone":"1","verification_id":"2","code":1e5}', "/code"),
    "true": (changed(code=True), "/code"),
    "array": (changed(phone=[PHONE, PHONE]), "/phone"),
    "object": (changed(phone={"number": PHONE}), "/phone"),
    "escaped NUL": (changed(phone="138\u0000"), "/phone"),
    "vertical tab": (changed(code="123456\v"), "/code"),
    "escape character": (changed(code="\u001b[31m"), "/code"),
    "C1 control": (changed(code="\u0085"), "/code"),
    "lone high surrogate": (changed(phone="\ud800"), "/phone"),
    "lone low surrogate": (changed(code="\udc00"), "/code"),
    "surrogate inside": (changed(verification_id="a\ud83dz"), "/verification_id"),
    "too long": (changed(phone="1" * 65), "/phone"),
    "duplicate": (b'{"phone":"1","phone":"2","verification_id":"3","code":"4"}', "/phone"),
    "duplicate by escape": (b'{"phone":"1","ph\\u006fne":"2","verification_id":"3","code":"4"}', "/phone"),
    "duplicate unknown": (b'{"x/y":1,"x/y":2}', "/…"),
    "duplicate inside": (b'{"phone":{"a":1,"a":2},"verification_id":"3","code":"4"}', "/phone"),
    "empty address": (changed(client_ip=""), "/client_ip"),
    "no address": (changed(client_ip="localhost"), "/client_ip"),
    "address list": (changed(client_ip="203.0.113.7, 203.0.113.8"), "/client_ip"),
}

MEDIA_TYPES = {
    "none": None,
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "problem": "application/problem+json",
    "prefix": "application/jsonx",
    "list": "text/plain, application/json",
}


@pytest.mark.parametrize("raw", NO_JSON.values(), ids=NO_JSON)
def test_invalid_body_is_rejected_as_a_whole_or_at_its_field(web_app: WebApp, raw: bytes) -> None:
    answer = web_app.send("/otp/verify", raw)

    assert answer.status_code == 400
    assert set(pointers(answer)) <= {"", "/phone", "/verification_id", "/code", "/a"}
    assert web_app.harness.store.calls == []


@pytest.mark.parametrize(("raw", "pointer"), WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_wrong_field_is_refused_by_name(web_app: WebApp, raw: bytes, pointer: str) -> None:
    answer = web_app.send("/otp/verify", raw)

    assert answer.status_code == 400
    assert pointer in pointers(answer)
    assert web_app.harness.store.calls == []


@pytest.mark.parametrize(
    "path", ["/otp/request", "/otp/verify", "/otp/redeem", "/otp/status", "/otp/cancel", "/otp/unlock"]
)
@pytest.mark.parametrize("raw", [b"", b"[]", b'{"surplus": "1"}', b'{"phone": [], "proof": []}'], ids=repr)
def test_every_call_rejects_unknown_fields(web_app: WebApp, path: str, raw: bytes) -> None:
    assert web_app.send(path, raw).status_code == 400


@pytest.mark.parametrize("media_type", MEDIA_TYPES.values(), ids=MEDIA_TYPES)
def test_a_body_that_is_not_declared_as_json_is_refused(web_app: WebApp, media_type: str | None) -> None:
    answer = web_app.send("/otp/verify", json.dumps(GOOD).encode(), media_type=media_type)

    assert answer.status_code == 415
    assert problem(answer)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=x"]
)
def test_parameters_of_the_media_type_do_not_matter(web_app: WebApp, media_type: str) -> None:
    answer = web_app.send("/otp/verify", json.dumps(GOOD).encode(), media_type=media_type)

    assert problem(answer)["code"] == "verification_not_found"


@pytest.mark.parametrize("size", [json_body.MAX_BYTES + 1, 1024 * 1024], ids=["one byte more", "1 MB"])
def test_a_large_body_is_refused(web_app: WebApp, size: int) -> None:
    answer = web_app.send("/otp/verify", b" " * size)

    assert answer.status_code == 413
    assert problem(answer)["code"] == "payload_too_large"


def test_a_body_of_the_largest_size_is_read(web_app: WebApp) -> None:
    raw = json.dumps(GOOD).encode().ljust(json_body.MAX_BYTES)

    assert problem(web_app.send("/otp/verify", raw))["code"] == "verification_not_found"


def test_no_error_repeats_what_was_sent(web_app: WebApp) -> None:
    secret = "SECRET-13800138000"
    bodies = [
        changed(code=[secret]),
        changed(code=secret + "\v"),
        changed(surplus=secret),
        f'{{"phone": "{secret}'.encode(),
        f'{{"phone": {secret}}}'.encode(),
        changed(client_ip=secret),
    ]

    answers = [web_app.send("/otp/verify", raw) for raw in bodies]

    assert {answer.status_code for answer in answers} == {400}
    assert not [answer.text for answer in answers if "SECRET" in answer.text]


def test_a_thousand_wrong_fields_do_not_make_a_large_answer(web_app: WebApp) -> None:
    answer = web_app.post("/otp/verify", {f"f{number}": 1 for number in range(700)})

    assert len(pointers(answer)) == 16


# ── the bytes ──


class Drip(io.RawIOBase):
    """A stream that yields a few bytes at a time, as a slow network does."""

    def __init__(self, raw: bytes, step: int = 7) -> None:
        self._raw = io.BytesIO(raw)
        self._step = step
        self.taken = 0

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        chunk = self._raw.read(min(self._step, size if size >= 0 else self._step))
        self.taken += len(chunk)
        return chunk


class Broken(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        raise ConnectionResetError("SECRET")


def chunked(stream: io.RawIOBase) -> WSGIEnvironment:
    """Return a request of unknown length, as a server passes chunked bodies on."""
    environ = create_environ(method="POST", content_type="application/json")
    return {**environ, "wsgi.input": stream, "wsgi.input_terminated": True}


def test_a_chunked_body_is_read_to_its_end() -> None:
    assert json_body.read(chunked(Drip(json.dumps(GOOD).encode()))) == GOOD


def test_chunked_body_is_read_only_up_to_its_limit() -> None:
    stream = Drip(b" " * 1024 * 1024, step=1000)

    with pytest.raises(PayloadTooLarge):
        json_body.read(chunked(stream))

    assert stream.taken <= json_body.MAX_BYTES + 1


def test_incomplete_body_is_a_client_error() -> None:
    with pytest.raises(InvalidRequest) as error:
        json_body.read(chunked(Broken()))

    assert error.value.errors == [{"pointer": "", "detail": "ended too early"}]


def test_body_shorter_than_announced_is_a_client_error(web_app: WebApp) -> None:
    answer = web_app.client.post(
        "/otp/verify",
        data=json.dumps(GOOD),
        headers={"Authorization": f"Bearer {fakes.SHOP_KEY}"},
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "1000"},
    )

    assert answer.status_code == 400
    assert problem(answer)["errors"] == [{"pointer": "", "detail": "ended too early"}]


def test_body_without_a_length_is_empty(web_app: WebApp) -> None:
    environ = create_environ(method="POST", content_type="application/json")
    assert "CONTENT_LENGTH" not in environ

    with pytest.raises(InvalidRequest) as error:
        json_body.read(environ)

    assert error.value.errors == [{"pointer": "", "detail": "is empty"}]


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_not_json(constant: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        json_body.parse(f'{{"phone": {constant}}}'.encode())

    assert error.value.errors[0]["pointer"] == ""


@pytest.mark.parametrize("value", ["true", "yes", 1, 0, 1.0, []], ids=repr)
def test_only_json_booleans_are_booleans(web_app: WebApp, value: object) -> None:
    assert pointers(web_app.request(known_phone=value)) == ["/known_phone"]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "identity, gzip", ""])
def test_compressed_body_is_an_unsupported_media_type(encoding: str) -> None:
    environ = create_environ(
        method="POST", data=b"{}", content_type="application/json", headers={"Content-Encoding": encoding}
    )

    with pytest.raises(UnsupportedMediaType):
        json_body.read(environ)


@pytest.mark.parametrize("encoding", ["identity", " Identity "])
def test_identity_encoding_is_accepted(encoding: str) -> None:
    environ = create_environ(
        method="POST", data=b"{}", content_type="application/json", headers={"Content-Encoding": encoding}
    )

    assert json_body.read(environ) == {}
