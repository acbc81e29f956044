"""One word per thing: the words that stand for something else, or for nothing, name nothing here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from house_sources import SOURCES, Source

INSTEAD = {
    # what nobody says here: what is said
    "session": "verification",
    "transaction": "verification",
    "otp": "code",
    "pin": "code",
    "password": "code",
    "passcode": "code",
    "token": "code, proof or key",
    "scene": "purpose",
    "mobile": "phone",
    "msisdn": "phone",
    "tenant": "client",
    "namespace": "client",
    "user": "requester",
    "visitor": "requester",
    "push": "send",
    "tries": "attempts",
    "throttle": "limit",
    "quota": "budget",
    "hash": "digest",
    "fingerprint": "tag",
    "ticket": "proof",
    "jwt": "proof",
    "consume": "redeem",
    "introspect": "redeem",
    "gateway": "route",
    "channel": "route",
    "callback": "receipt or report",
    "mock": "sandbox",
    "signature": "sign name, unless it is an HMAC",
    "challenge": "verification, unless it is a risk challenge",
}

ALLOWED = {
    # (word, where): why
    ("otp", "errors.py"): "OtpError, named after the service",
    ("otp", "web/openapi.py"): "an address of the API",
    ("otp", "web/pages.py"): "an address of the API",
    ("otp", "client/"): "OtpClient and OtpServiceError, named after the service",
    ("session", "client/transport.py"): "the Session of requests",
    ("password", "cli.py"): "what Redis asks for",
    ("password", "app.py"): "as above",
    ("password", "commands/redis_acl.py"): "as above",
    ("password", "settings/tables.py"): "as above",
    ("password", "store/"): "as above",
    ("user", "client/transport.py"): "the header User-Agent",
    ("user", "store/rights.py"): "an ACL user of Redis",
    ("user", "sms/exchange.py"): "the header User-Agent",
    ("hash", "codes.py"): "keyed_hash, of which digests, tags and sub-keys are made",
    ("gateway", "aliyun/gateway_codes.py"): "Alibaba's API gateway",
    ("mobile", "aliyun/numbers.py"): "Aliyun's own isv.MOBILE_NUMBER_ILLEGAL",
    ("namespace", "sandbox/xml_text.py"): "an XML namespace",
    ("challenge", "errors.py"): "a risk challenge",
    ("challenge", "risk/"): "a risk challenge",
    ("challenge", "metrics/"): "a risk challenge",
    ("challenge", "settings/risk.py"): "a risk challenge",
    ("signature", "risk/"): "an HMAC",
    ("challenge", "client/errors.py"): "a risk challenge",
    ("challenge", "web/problem_schemas.py"): "a risk challenge",
    ("challenge", "store/keys.py"): "a risk challenge",
    ("fingerprint", "keyring.py"): "what stands for the payload under an idempotency key",
    ("fingerprint", "ports.py"): "as above",
    ("fingerprint", "repeats.py"): "as above",
    ("token", "sandbox/"): "Aliyun's SecurityToken",
    ("token", "settings/"): "Aliyun's SecurityToken",
    ("token", "sms/aliyun_api/"): "Aliyun's SecurityToken",
    ("token", "sms/queue/"): "Aliyun's SecurityToken",
    ("signature", "aliyun/signature.py"): "an HMAC",
    ("signature", "web/problem_schemas.py"): "the HMAC of a risk challenge",
    ("signature", "sandbox/"): "an HMAC",
    ("signature", "settings/routes.py"): "which HMAC",
    ("signature", "sms/"): "an HMAC",
    ("signature", "doctor/"): "which HMAC",
}


def allowed(word: str, path: str) -> bool:
    return any(word == name and path.startswith(where) for name, where in ALLOWED)


def names(source: Source) -> Iterator[str]:
    """Every name that *source* gives: functions, classes, arguments, variables, attributes, fields."""
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Dict(keys=keys):
                yield from (key.value for key in keys if _is_text(key))


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_nothing_is_named_by_a_word_that_is_not_ours(source: Source) -> None:
    foreign = {
        (name, word, INSTEAD[word])
        for name in names(source)
        for word in words(name) & set(INSTEAD)
        if not allowed(word, source.path)
    }

    assert foreign == set()


@pytest.mark.parametrize(("word", "where"), ALLOWED, ids=lambda text: text)
def test_no_word_is_allowed_where_nobody_says_it(word: str, where: str) -> None:
    said = {w for source in SOURCES if source.path.startswith(where) for n in names(source) for w in words(n)}

    assert word in said


def test_files_are_not_named_by_foreign_words_either() -> None:
    named = {(source.path, word) for source in SOURCES for word in words(source.path) & set(INSTEAD)}

    assert {path for path, word in named if not allowed(word, path)} == set()
