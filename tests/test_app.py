from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import fakes
import pytest
from servers import Server

import otp_service
from otp_service.app import CONFIG_VARIABLE, EXTENSION, build, from_environment
from otp_service.clients import key_digest
from otp_service.settings import Settings, SettingsError, from_mapping
from otp_service.web.address import Trust

ROOT = Path(__file__).parents[1]
KEY = "sk_key-of-the-test-0123456789"


def raw(**tables: dict[str, Any]) -> dict[str, Any]:
    return {
        "keys": {
            "active_kid": "a",
            "tag_key": "0123456789abcdef" * 4,
            "roots": {"a": "fedcba9876543210" * 4},
        },
        "purposes": {"login": {}},
        "clients": {"web": {"secret_key_digests": [key_digest(KEY)], "proof_keys": ["proof-key-" * 4]}},
        "routes": [
            {
                "name": "main",
                "access_key_id": "id",
                "access_key_secret": "secret",
                "sign_name": "sign",
                "templates": [{"template_code": "SMS_1"}],
            }
        ],
        **tables,
    }


def settings(**tables: dict[str, Any]) -> Settings:
    return from_mapping(raw(**tables))


@pytest.fixture
def closing() -> Any:
    """Whatever a test builds is closed after it."""
    opened: list[Callable[[], None]] = []
    yield opened.append
    for close in opened:
        close()


def faked(clock: fakes.FakeClock) -> dict[str, Any]:
    return {"store": fakes.FakeStore(clock), "ledger": fakes.FakeLedger(), "pages": fakes.FakePages()}


def test_the_parts_become_an_application(closing: Any) -> None:
    clock, events = fakes.FakeClock(), fakes.FakeEvents()
    built = build(settings(), **faked(clock), clock=clock, events=events)
    closing(built.close)

    ready = built.app.test_client().get("/readyz")

    assert ready.json == {
        "status": "ready",
        "store": "ok",
        "warnings": [],
        "routes": [{"name": "main", "state": "ok"}],
    }
    assert built.app.extensions[EXTENSION] is built


def test_an_address_that_is_not_ours_is_a_problem_document(closing: Any) -> None:
    clock = fakes.FakeClock()
    built = build(
        settings(),
        store=fakes.FakeStore(clock),
        ledger=fakes.FakeLedger(),
        pages=fakes.FakePages(),
        clock=clock,
        events=fakes.FakeEvents(),
    )
    closing(built.close)

    answer = built.app.test_client().get("/nowhere")

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_without_a_redis_of_its_own_it_starts_the_embedded_store(
    closing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", written)
    app = otp_service.create_app(settings())
    closing(app.extensions[EXTENSION].close)

    assert app.test_client().get("/readyz").status_code == 200
    assert app.test_client().post("/otp/request").status_code == 401
    app.extensions[EXTENSION].close()
    assert json.loads(written.buffer.getvalue())["code"] == "unauthorized"  # type: ignore[attr-defined]


def test_it_uses_the_redis_of_the_settings(closing: Any, redis_server: Server) -> None:
    built = build(settings(redis={"url": redis_server.url}), events=fakes.FakeEvents())
    closing(built.close)

    assert built.app.test_client().get("/readyz").status_code == 200


def test_closing_again_changes_nothing() -> None:
    clock = fakes.FakeClock()
    built = build(
        settings(),
        store=fakes.FakeStore(clock),
        ledger=fakes.FakeLedger(),
        pages=fakes.FakePages(),
        clock=clock,
        events=fakes.FakeEvents(),
    )
    built.close()
    built.close()

    answer = built.app.test_client().post(
        "/otp/request", json={"phone": "13800138000"}, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert answer.json
    assert answer.json["code"] == "provider_unavailable"


@pytest.mark.parametrize(
    ("service", "trust"),
    [
        ({}, Trust()),
        ({"proxy_hops": 2}, Trust(hops=2)),
        ({"trusted_proxies": ["10.0.0.0/8"]}, Trust(networks=(ip_network("10.0.0.0/8"),))),
    ],
    ids=["nobody", "hops", "networks"],
)
def test_proxies_are_believed_as_far_as_they_are_known(
    closing: Any, service: dict[str, Any], trust: Trust
) -> None:
    clock = fakes.FakeClock()
    built = build(
        settings(service=service),
        store=fakes.FakeStore(clock),
        ledger=fakes.FakeLedger(),
        pages=fakes.FakePages(),
        clock=clock,
        events=fakes.FakeEvents(),
    )
    closing(built.close)

    assert built.parts.trust == trust


# ── worker processes ──


def test_a_worker_refuses_what_is_not_fit_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(ROOT / "config.example.toml"))

    with pytest.raises(SettingsError, match=r"keys\.tag_key: is the secret of the example"):
        from_environment()


def test_a_worker_takes_its_settings_from_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch, redis_server: Server
) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr("otp_service.app.at_exit", ends.append)
    monkeypatch.setattr("otp_service.app.adopt_logging", lambda _: None)
    tables = raw(redis={"url": redis_server.url}, service={"sms_per_day": 10})
    tables["clients"]["web"]["sms_per_day"] = 10
    for name, table in tables.items():
        monkeypatch.setenv(f"OTP_SERVICE__{name.upper()}", json.dumps(table))

    app = from_environment()

    assert app.test_client().get("/readyz").status_code == 200
    assert ends == [app.extensions[EXTENSION].close]
    ends[0]()
