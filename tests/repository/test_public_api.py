"""The public API is pinned: a change here affects users."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType, SimpleNamespace
from typing import cast

import click
import pytest
from flask import Flask
from support.public_api import CLIENT, COMMANDS, ERROR_CODES, PACKAGE, PROOF_CLAIMS, ROUTES

import otp_service
import otp_service_client
from otp_service import settings, web
from otp_service.domain import errors
from otp_service.domain.errors import OtpError
from otp_service.domain.phone import Phone
from otp_service.domain.proofs import ProofKeys, ProofSigner
from otp_service.web import ApiDependencies, create_blueprint


def public(module: ModuleType) -> list[str]:
    """Return the public names of a module, without modules and imports for annotations."""
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value) and name != "annotations"
    )


def codes(kind: type[OtpError]) -> set[str]:
    mine = {kind.code} if kind.__module__ == errors.__name__ else set[str]()
    return mine.union(*map(codes, kind.__subclasses__()))


def commands(group: click.Group, before: str = "") -> list[str]:
    found: list[str] = []
    for name, command in group.commands.items():
        found += (
            commands(command, f"{before}{name} ") if isinstance(command, click.Group) else [before + name]
        )
    return sorted(found)


def test_public_names_of_the_package() -> None:
    assert sorted(otp_service.__all__) == PACKAGE
    assert [name for name in PACKAGE if not hasattr(otp_service, name)] == []


def test_public_names_of_the_client() -> None:
    assert otp_service_client.__all__ == CLIENT
    assert sorted(set(CLIENT) - {"__version__"}) == public(otp_service_client)


@pytest.mark.parametrize("module", [web, settings], ids=lambda module: module.__name__)
def test_all_lists_the_public_names(module: ModuleType) -> None:
    assert sorted(module.__all__) == public(module)


def test_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        otp_service.no_such_name  # noqa: B018


def test_routes() -> None:
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(
        create_blueprint(
            cast("ApiDependencies", SimpleNamespace(report_receiver=object(), address_probe=object()))
        )
    )

    assert sorted(
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ) == sorted(ROUTES)


def test_error_codes() -> None:
    assert sorted(codes(OtpError)) == ERROR_CODES


def test_claims_of_a_proof() -> None:
    signer = ProofSigner("otp_service", "shop", ProofKeys((b"k" * 32,)), lambda: 0)
    phone = Phone("+8613800138000", "CN", "mobile", 86)
    proof = signer.mint(phone=phone, purpose="login", verification_id="v" * 22, ttl=180)

    assert sorted(signer._serializer.loads(proof)) == PROOF_CLAIMS


def test_commands() -> None:
    main = importlib.import_module("otp_service.cli.main").main

    assert commands(main) == COMMANDS
