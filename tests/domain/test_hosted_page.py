"""The stored form of hosted pages, which two releases share during an upgrade."""

from __future__ import annotations

import json

from otp_service.domain.crypto import Keyring, decrypt, encrypt, hmac_fields
from otp_service.domain.hosted_page import (
    ActiveVerification,
    FormError,
    HostedPage,
    Step,
    decrypt_page,
    encrypt_page,
)

PAGE_ID, NONCE = "p" * 32, bytes(12)
KEYRING = Keyring({"k1": bytes(range(32))}, "k1", bytes(range(32, 64)))
PAGE = HostedPage(
    "shop",
    "login",
    "https://shop.example/done",
    "state",
    "zh-CN",
    ends_at=600.0,
    step=Step.CODE,
    active=ActiveVerification("id", "+86 138****8000", "digits", 60.0, 300.0, "+8613800138000"),
    form_error=FormError("wrong_code", attempts_left=4),
)


def test_fields_of_another_release_are_ignored() -> None:
    header = b"\x02\x02k1"
    key = hmac_fields(KEYRING.by_kid["k1"].page, (b"page", PAGE_ID.encode()))
    plain = decrypt(key, encrypt_page(PAGE, KEYRING, PAGE_ID, NONCE)[len(header) :], header)
    assert plain is not None
    stored = json.loads(plain)
    for table in (stored, stored["opened"], stored["trouble"]):
        table["of_another_release"] = 1
    theirs = header + encrypt(key, NONCE, json.dumps(stored).encode(), header)

    assert decrypt_page(theirs, KEYRING, PAGE_ID) == PAGE
