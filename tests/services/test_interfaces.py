"""Interfaces: their values can be logged safely, and every method has a docstring."""

from __future__ import annotations

import inspect
from typing import Protocol

import pytest

from otp_service.domain.codes import CodeType
from otp_service.domain.messages import SendResult, SendStatus
from otp_service.domain.verification import NewVerification
from otp_service.services import interfaces

INTERFACES = [
    interface
    for _, interface in inspect.getmembers(interfaces, inspect.isclass)
    if interface.__module__ == interfaces.__name__ and Protocol in interface.__bases__
]


@pytest.mark.parametrize("interface", INTERFACES)
def test_every_method_of_an_interface_has_a_docstring(interface: type) -> None:
    methods = [m for name, m in inspect.getmembers(interface, inspect.isfunction) if not name.startswith("_")]

    assert methods
    assert [method.__name__ for method in methods if not method.__doc__] == []


def test_repr_of_a_new_verification_hides_salt_and_digest() -> None:
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


def test_accepted_result_has_no_failure_cause() -> None:
    assert SendResult(SendStatus.ACCEPTED).cause is None
