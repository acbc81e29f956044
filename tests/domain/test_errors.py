"""Errors: the tree in the docstring and the published codes."""

from __future__ import annotations

import inspect
import re

import pytest

from otp_service.domain import errors
from otp_service.domain.errors import OtpError, RetryableError

GROUPS = {"OtpError", "RequestError", "VerificationError", "ProofError", "LimitError", "ProviderError"}
FACTS = {
    "errors": [{"pointer": "/phone", "detail": "is required"}],
    "attempts_left": 4,
    "retry_after": 60,
    "limit": "cooldown",
    "challenge": {"algorithm": "SHA-256"},
}


def kinds(parent: type[OtpError] = OtpError) -> list[type[OtpError]]:
    return [parent, *(kind for child in parent.__subclasses__() for kind in kinds(child))]


ALL = {kind.__name__: kind for kind in kinds() if kind.__module__ == errors.__name__}
LEAVES = {name: kind for name, kind in ALL.items() if name not in GROUPS | {"RetryableError"}}


def make_error(kind: type[OtpError]) -> OtpError:
    return kind(**{name: FACTS[name] for name in inspect.signature(kind).parameters})


def test_tree_in_the_docstring_names_every_error_with_its_code() -> None:
    drawn = re.findall(r"^[│├└─ ]*(\w+) +(\w+)?", str(errors.__doc__), re.MULTILINE)
    codes = {name: code for name, code in drawn if name in LEAVES}

    assert codes == {name: kind.code for name, kind in LEAVES.items()}
    assert {name for name, _ in drawn} >= GROUPS


def test_error_codes_and_titles_are_unique() -> None:
    assert len({kind.code for kind in LEAVES.values()}) == len(LEAVES)
    assert len({kind.title for kind in LEAVES.values()}) == len(LEAVES)


@pytest.mark.parametrize("kind", LEAVES.values(), ids=LEAVES.keys())
def test_error_code_is_the_class_name_in_snake_case(kind: type[OtpError]) -> None:
    assert kind.code == re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@pytest.mark.parametrize("kind", LEAVES.values(), ids=LEAVES.keys())
def test_error_has_its_title_and_its_members(kind: type[OtpError]) -> None:
    error = make_error(kind)

    assert str(error) == kind.title
    assert error.members() == {name: FACTS[name] for name in inspect.signature(kind).parameters}


def test_temporary_errors_have_retry_after() -> None:
    retryable = {kind.code for kind in LEAVES.values() if issubclass(kind, RetryableError)}

    assert retryable == {
        "cooldown_active",
        "idempotency_in_progress",
        "limit_reached",
        "provider_rate_limited",
        "provider_unavailable",
        "store_unavailable",
    }


def test_retry_after_of_an_unavailable_store_is_two_seconds() -> None:
    assert errors.StoreUnavailable().members() == {"retry_after": 2}
