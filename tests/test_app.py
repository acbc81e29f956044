from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import fakes
from support.events import RecordingEvents
from support.recording_store import RecordingPages, RecordingStore
from support.redis_servers import Server
from support.waiting import eventually

import otp_service
from otp_service import __version__
from otp_service.app import CONFIG_VARIABLE, EXTENSION, build, create_app
from otp_service.domain.clients import key_digest
from otp_service.domain.limits import ConversionLimits
from otp_service.domain.risk import ConversionScope
from otp_service.settings import Settings, SettingsError, from_mapping

ROOT = Path(__file__).parents[1]
KEY = "sk_key-of-the-test-0123456789"
BROWSER_KEY = "pk_shop-0123456789abcdefghijklmnop"
BROWSER_PAGE = "https://www.shop.example"


def raw(**tables: dict[str, Any]) -> dict[str, Any]:
    return {
        "keys": {
            "active_kid": "a",
            "pseudonym_key": "0123456789abcdef" * 4,
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
    """Close everything that a test builds."""
    opened: list[Callable[[], None]] = []
    yield opened.append
    for close in opened:
        close()


def faked(clock: fakes.FakeClock) -> dict[str, Any]:
    return {"store": RecordingStore(clock), "counters": fakes.FakeCounters(), "pages": RecordingPages(clock)}


def test_application_is_built_from_its_parts(closing: Any) -> None:
    clock, events = fakes.FakeClock(), RecordingEvents()
    built = build(settings(), **faked(clock), clock=clock, events=events)
    closing(built.close)

    ready = built.app.test_client().get("/readyz")

    assert ready.json == {
        "status": "ready",
        "version": __version__,
        "store": "ok",
        "warnings": [],
        "routes": [{"name": "main", "state": "ok"}],
    }
    assert built.app.extensions[EXTENSION] is built


@pytest.mark.parametrize("mode", ["record_only", "enforce"])
def test_guard_logs_its_mode_when_it_trips(closing: Any, mode: str) -> None:
    events = RecordingEvents()
    built = build(settings(pumping_guard={"mode": mode}), events=events)
    closing(built.close)
    scope = ConversionScope(
        "country",
        "country:CN",
        ConversionLimits(min_unverified=3, max_unverified_ratio=0.5, block_multiplier=2),
    )

    built.counters.record_send([scope] * 30)

    assert eventually(lambda: events.of("pumping_guard_state_changed") != [])
    assert {event["mode"] for event in events.of("pumping_guard_state_changed")} == {mode}


def test_unknown_path_is_a_problem_document(closing: Any) -> None:
    clock = fakes.FakeClock()
    built = build(
        settings(),
        store=RecordingStore(clock),
        counters=fakes.FakeCounters(),
        pages=RecordingPages(clock),
        clock=clock,
        events=RecordingEvents(),
    )
    closing(built.close)

    answer = built.app.test_client().get("/nowhere")

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_embedded_store_is_started_without_a_redis_url(
    closing: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    app = otp_service.create_app(settings())
    closing(app.extensions[EXTENSION].close)

    assert app.test_client().get("/readyz").status_code == 200
    assert app.test_client().post("/otp/request").status_code == 401
    app.extensions[EXTENSION].close()
    assert json.loads(capfdbinary.readouterr().out)["code"] == "unauthorized"


def test_redis_of_the_settings_is_used(closing: Any, redis_server: Server) -> None:
    built = build(settings(redis={"url": redis_server.url}), events=RecordingEvents())
    closing(built.close)

    assert built.app.test_client().get("/readyz").status_code == 200


def test_application_can_be_closed_twice() -> None:
    clock = fakes.FakeClock()
    built = build(
        settings(),
        store=RecordingStore(clock),
        counters=fakes.FakeCounters(),
        pages=RecordingPages(clock),
        clock=clock,
        events=RecordingEvents(),
    )
    built.close()
    built.close()

    answer = built.app.test_client().post(
        "/otp/request", json={"phone": "13800138000"}, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert answer.json
    assert answer.json["code"] == "provider_unavailable"


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ({}, "10.0.0.1"),
        ({"proxy_hops": 2}, "10.0.0.3"),
        ({"trusted_proxies": ["10.0.0.0/8"]}, "203.0.113.9"),
    ],
    ids=["no proxy", "hops", "networks"],
)
def test_only_trusted_proxies_are_used(closing: Any, service: dict[str, Any], address: str) -> None:
    clock, events = fakes.FakeClock(), RecordingEvents()
    web = raw()["clients"]["web"] | {"publishable_key": BROWSER_KEY, "origins": [BROWSER_PAGE]}
    made = settings(service=service, clients={"web": web})
    built = build(made, **faked(clock), clock=clock, events=events)
    closing(built.close)

    built.app.test_client().post(
        "/otp/request",
        json={"phone": "13800138000", "purpose": "login"},
        headers={
            "Authorization": f"Bearer {BROWSER_KEY}",
            "Origin": BROWSER_PAGE,
            "X-Forwarded-For": "198.51.100.7, 203.0.113.9, 10.0.0.3, 10.0.0.2",
        },
        environ_overrides={"REMOTE_ADDR": "10.0.0.1"},
    )

    (event,) = events.of("http_request")
    assert event["client_ip_hash"] == ip_hash_text(made, address)


def ip_hash_text(made: Settings, address: str) -> str:
    """The keyed hash of *address* as events have it."""
    return base64.urlsafe_b64encode(made.keyring().ip_hash(address)).decode()


@pytest.mark.parametrize(
    ("forwarded", "events_emitted"), [("unknown", [{}]), ("198.51.100.1:4711", []), (None, [])], ids=str
)
@pytest.mark.parametrize("path", ["/otp/status", f"/otp/pages/{'A' * 22}"])
def test_proxy_without_a_usable_address_is_reported(
    closing: Any, forwarded: str | None, events_emitted: list[object], path: str
) -> None:
    clock, events = fakes.FakeClock(), RecordingEvents()
    store = RecordingStore(clock)
    web = raw()["clients"]["web"] | {"publishable_key": BROWSER_KEY, "origins": [BROWSER_PAGE]}
    built = build(
        settings(service={"proxy_hops": 1}, clients={"web": web}),
        store=store,
        counters=fakes.FakeCounters(),
        pages=RecordingPages(clock),
        clock=clock,
        events=events,
    )
    closing(built.close)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    key = {"Authorization": f"Bearer {BROWSER_KEY}", "Origin": BROWSER_PAGE}

    built.app.test_client().post(path, data={"action": "send"}, headers={**key, **headers})

    assert events.of("client_ip_unreadable") == events_emitted
    assert store.met_unreadable_ip() is bool(events_emitted)


# ── worker processes ──


def test_worker_rejects_settings_unsuitable_for_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(ROOT / "config.example.toml"))

    with pytest.raises(SettingsError, match=r"keys\.pseudonym_key: is the secret of the example"):
        create_app()


def test_worker_reads_its_settings_only_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, redis_server: Server
) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    ends: list[Callable[[], None]] = []
    monkeypatch.setattr("otp_service.app.at_exit", ends.append)
    monkeypatch.setattr("otp_service.app.install_logging_handler", lambda _: None)
    tables = raw(redis={"url": redis_server.url}, service={"sms_per_day": 10})
    tables["clients"]["web"]["sms_per_day"] = 10
    for name, table in tables.items():
        monkeypatch.setenv(f"OTP_SERVICE__{name.upper()}", json.dumps(table))

    app = create_app()

    assert app.test_client().get("/readyz").status_code == 200
    assert ends == [app.extensions[EXTENSION].close]
    ends[0]()
