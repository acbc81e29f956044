"""Ports: what passes through them can be logged without harm, and every method says what it does."""

from __future__ import annotations

import inspect
from typing import Protocol

import pytest

from otp_service.domain.codes import CodeType
from otp_service.domain.messages import SendResult, SendStatus
from otp_service.domain.verification import NewVerification
from otp_service.services import interfaces

PORTS = [
    port
    for _, port in inspect.getmembers(interfaces, inspect.isclass)
    if port.__module__ == interfaces.__name__ and Protocol in port.__bases__
]


@pytest.mark.parametrize("port", PORTS)
def test_every_method_of_a_port_is_described(port: type) -> None:
    methods = [m for name, m in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")]

    assert methods
    assert [method.__name__ for method in methods if not method.__doc__] == []


def test_a_new_verification_prints_neither_salt_nor_digest() -> None:
    new = NewVerification(
        verification_hash="v" * 22,
        client="shop",
        purpose="login",
        code_type=CodeType.DIGITS,
        kid="k1",
        salt=b"SALT" * 4,
        digest=b"DIGEST",
        ttl=300,
        attempts=5,
        sends=4,
    )

    assert "SALT" not in repr(new)
    assert "DIGEST" not in repr(new)


def test_an_outcome_has_no_fault_unless_it_was_refused() -> None:
    assert SendResult(SendStatus.ACCEPTED).cause is None
