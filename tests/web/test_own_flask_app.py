"""The service inside another Flask application, and views that require a proof."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import redis
from flask import Flask, abort
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel
from support import fakes
from support.deployment import new_phone
from support.redis_servers import Server
from support.waiting import eventually
from werkzeug.test import TestResponse

import otp_service
from otp_service.cli.dev_server import DevServer
from otp_service.domain import errors
from otp_service.domain.clients import key_digest
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sandbox.config import DEFAULT_SIGN_NAME
from otp_service.settings import Settings, from_mapping
from otp_service.store import keys
from otp_service.store.client import RedisOptions, from_existing_client
from otp_service.web import OtpBlueprint
from otp_service_client import OtpClient, ServiceUnreachable, Unauthorized, read_proof
from otp_service_client.errors import from_problem

KEY = "sk_own-app-0123456789abcdefghijklmnopqrstuv"
PROOF_KEY = "proof key of a shop in an own application"
DOC = Path(__file__).parents[2] / "docs" / "own-flask-app.md"
SMS_PER_DAY = 1_000_000
"""Enough for all tests, which share the budgets on one Redis."""

ACCOUNT = {"own": "own-secret"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with start_sandbox(SandboxConfig.default(ACCOUNT)) as running:
        yield running


def settings(sandbox_url: str, **tables: Any) -> Settings:
    ((access_key_id, access_key_secret),) = ACCOUNT.items()
    return from_mapping(
        {
            "log": {"level": "error"},
            "keys": {
                "active_kid": "a",
                "pseudonym_key": "pseudonym-key-of-an-application-" * 2,
                "roots": {"a": "0123456789abcdef" * 4},
            },
            "purposes": {"login": {}},
            "clients": {
                "shop": {
                    "secret_key_digests": [key_digest(KEY)],
                    "proof_keys": [PROOF_KEY],
                    "sms_per_day": SMS_PER_DAY,
                }
            },
            "routes": [
                {
                    "name": "main",
                    "provider": "sandbox",
                    "access_key_id": access_key_id,
                    "access_key_secret": access_key_secret,
                    "endpoint": sandbox_url,
                    "sign_name": DEFAULT_SIGN_NAME,
                    "templates": [{"template_code": "SMS_100000001"}],
                }
            ],
            **tables,
            "service": {"sms_per_day": SMS_PER_DAY, **tables.get("service", {})},
        }
    )


@pytest.fixture
def mounted(redis_server: Server, sandbox: SandboxServer) -> Iterator[tuple[Flask, OtpBlueprint]]:
    """An application with its own pages and error handlers, and the service under `/auth`."""
    with redis_server.client(decode_responses=True) as client:
        otp = otp_service.create_blueprint(settings(sandbox.url), redis=client)
        yield host(otp), otp
        otp.close()


def host(otp: OtpBlueprint) -> Flask:
    app = Flask("host", static_folder=None)
    app.register_blueprint(otp, url_prefix="/auth")
    app.register_error_handler(404, lambda _: ("our own 404", 404))
    app.register_error_handler(Exception, lambda _: ("our own 500", 500))

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/broken")
    def broken() -> str:
        abort(404)

    return app


def post(app: Flask, path: str, body: dict[str, Any]) -> TestResponse:
    return app.test_client().post(path, json=body, headers={"Authorization": f"Bearer {KEY}"})


def proof_of(app: Flask, sandbox: SandboxServer, phone: str, prefix: str = "/auth") -> str:
    """Complete a verification and return the proof."""
    response = post(app, f"{prefix}/otp/request", {"phone": phone, "purpose": "login"})
    assert response.status_code == 201
    with urlopen(f"{sandbox.inbox_url}.json?phone=%2B{phone[1:]}", timeout=20) as answer:  # noqa: S310 - ours
        code = json.load(answer)[0]["code"]
    body = {"phone": phone, "verification_id": response.get_json()["verification_id"], "code": code}
    return str(post(app, f"{prefix}/otp/verify", body).get_json()["proof"])


# ── the blueprint ──


def test_complete_verification_under_a_prefix_with_the_applications_redis(
    mounted: tuple[Flask, OtpBlueprint], sandbox: SandboxServer, redis_server: Server
) -> None:
    app, _ = mounted
    phone = new_phone()
    proof = proof_of(app, sandbox, phone)
    redeemed = post(app, "/auth/otp/redeem", {"proof": proof, "purpose": "login"})

    assert redeemed.get_json()["phone"] == phone
    with redis_server.client() as client:
        assert list(client.scan_iter("otp:*"))


def test_application_keeps_its_pages_and_its_error_handlers(mounted: tuple[Flask, OtpBlueprint]) -> None:
    app, _ = mounted
    client = app.test_client()

    assert client.get("/").text == "home"
    assert client.get("/broken").text == "our own 404"
    assert client.get("/auth/nothing").text == "our own 404"
    assert post(app, "/auth/otp/verify", {}).get_json()["code"] == "invalid_request"
    assert client.get("/auth/readyz").status_code == 200
    assert client.get("/auth/openapi.json").get_json()["servers"] == [{"url": "/auth"}]


@pytest.mark.parametrize(
    "path",
    [
        "//auth/otp/redeem",
        "/auth/otp/redeem/",
        "/auth/otp/%72edeem",
        "/%61uth/otp/redeem",
        "/auth%2Fotp/redeem",
    ],
)
def test_other_spelling_of_a_path_is_not_served(mounted: tuple[Flask, OtpBlueprint], path: str) -> None:
    assert post(mounted[0], path, {"proof": "x", "purpose": "login"}).status_code == 404


def test_middleware_of_the_application_may_add_a_prefix(mounted: tuple[Flask, OtpBlueprint]) -> None:
    """ProxyFix does so behind a proxy that strips a prefix, and DispatcherMiddleware for what it mounts."""
    dispatched = {"base_url": "http://localhost/outer"}
    stripped = {"environ_overrides": {"SCRIPT_NAME": "/outer", "RAW_URI": "/auth/readyz"}}
    client = mounted[0].test_client()

    assert client.get("/auth/readyz", **dispatched).status_code == 200  # type: ignore[arg-type]
    assert client.get("/auth/readyz", **stripped).status_code == 200  # type: ignore[arg-type]


def test_two_applications_in_one_process_share_nothing_but_redis(
    redis_server: Server, sandbox: SandboxServer
) -> None:
    with redis_server.client() as client:
        blueprints = [otp_service.create_blueprint(settings(sandbox.url), redis=client) for _ in range(2)]
        apps = [host(otp) for otp in blueprints]
        proof = proof_of(apps[0], sandbox, new_phone())
        blueprints[0].close()

        assert post(apps[1], "/auth/otp/redeem", {"proof": proof, "purpose": "login"}).status_code == 200
        assert post(apps[1], "/auth/otp/redeem", {"proof": proof, "purpose": "login"}).status_code == 409
        blueprints[1].close()


def test_two_services_in_one_application(sandbox: SandboxServer) -> None:
    app = Flask("host", static_folder=None)
    blueprints = [otp_service.create_blueprint(settings(sandbox.url)) for _ in range(2)]
    for name, otp in zip(("one", "two"), blueprints, strict=True):
        app.register_blueprint(otp, name=name, url_prefix=f"/{name}")
    phone = new_phone()
    proof_of(app, sandbox, phone, "/one")

    # Another store, which does not know the phone; the sandbox does, as Alibaba would.
    assert post(app, "/two/otp/request", {"phone": phone, "purpose": "login"}).status_code == 429
    assert app.test_client().get("/two/readyz").status_code == 200
    for otp in blueprints:
        otp.close()


def test_mounted_service_stops_serving_after_an_upgrade(redis_server: Server, sandbox: SandboxServer) -> None:
    body = {"phone": new_phone(), "purpose": "login"}
    with redis_server.client() as client:
        client.delete(keys.schema())
        otp = otp_service.create_blueprint(settings(sandbox.url), redis=client)
        app = host(otp)
        declared = eventually(lambda: client.exists(keys.schema()))
        client.set(keys.schema(), "9 8", px=60_000)
        unready = app.test_client().get("/auth/readyz")
        rejected = post(app, "/auth/otp/request", body)
        client.delete(keys.schema())
        ready = app.test_client().get("/auth/readyz")
        accepted = post(app, "/auth/otp/request", body)
        otp.close()

    assert declared, "declared by the counters, without a probe"
    assert (unready.status_code, unready.get_json()["reason"]) == (503, "store_schema_newer")
    assert (rejected.status_code, rejected.get_json()["code"]) == (503, "store_unavailable")
    assert (ready.status_code, accepted.status_code) == (200, 201)


def test_closing_stops_its_threads_and_keeps_the_applications_client_open(
    redis_server: Server, sandbox: SandboxServer
) -> None:
    before = set(threading.enumerate())
    with redis_server.client() as client:
        otp = otp_service.create_blueprint(settings(sandbox.url), redis=client)
        host(otp)
        otp.close()
        otp.close()

        assert client.ping()
    deadline = time.monotonic() + 20
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert set(threading.enumerate()) - before == set()


def test_logging_of_the_application_is_not_changed(redis_server: Server, sandbox: SandboxServer) -> None:
    import logging  # noqa: PLC0415 - the thing under test

    before = logging.getLogger().handlers[:], logging.getLogger().level
    with redis_server.client() as client:
        otp_service.create_blueprint(settings(sandbox.url), redis=client).close()

    assert (logging.getLogger().handlers, logging.getLogger().level) == before


# ── its Redis ──


def test_only_the_server_address_is_taken_from_the_client() -> None:
    theirs = redis.Redis(
        host="127.0.0.1",
        port=6399,
        db=3,
        username="app",
        password="p",
        decode_responses=True,
        socket_timeout=99,
    )
    ours = from_existing_client(theirs, RedisOptions(read_timeout=0.25)).connection_pool.connection_kwargs

    assert [ours[name] for name in ("host", "port", "db", "username", "password")] == [
        "127.0.0.1",
        6399,
        3,
        "app",
        "p",
    ]
    assert (ours.get("decode_responses", False), ours["socket_timeout"]) == (False, 0.25)
    assert ours["retry"].get_retries() == 0


def test_tls_and_unix_sockets_are_taken_from_the_client() -> None:
    tls = redis.Redis(host="127.0.0.1", ssl=True, ssl_ca_certs="/ca.pem")
    unix = redis.Redis(unix_socket_path="/run/redis.sock")

    assert issubclass(
        from_existing_client(tls, RedisOptions()).connection_pool.connection_class, redis.SSLConnection
    )
    assert (
        from_existing_client(tls, RedisOptions()).connection_pool.connection_kwargs["ssl_ca_certs"]
        == "/ca.pem"
    )
    assert (
        from_existing_client(unix, RedisOptions()).connection_pool.connection_kwargs["path"]
        == "/run/redis.sock"
    )


@pytest.mark.parametrize(
    "client",
    [Sentinel([("127.0.0.1", 1)]).master_for("main"), RedisCluster.__new__(RedisCluster), "redis://x", None],
    ids=["sentinel", "cluster", "url", "nothing"],
)
def test_client_of_several_servers_is_refused(client: Any) -> None:
    with pytest.raises(TypeError):
        from_existing_client(client, RedisOptions())


# ── views that require a proof ──


def login_app(redeem: Callable[..., Any], **more: Any) -> Flask:
    """Return an application whose `/login` requires a proof."""
    app = Flask("guarded", static_folder=None)

    @app.post("/login/<where>")
    @otp_service.require_proof(redeem, purpose="login", **more)
    def login(where: str, phone: str) -> dict[str, str]:
        return {"phone": phone, "where": where}

    return app


@pytest.fixture
def harness() -> fakes.Harness:
    return fakes.harness()


def redeem_in(harness: fakes.Harness) -> Callable[..., Any]:
    return lambda proof, *, purpose: harness.service.redeem(fakes.SHOP, proof, purpose=purpose).proof


def minted(harness: fakes.Harness, purpose: str = "login") -> str:
    sent = harness.service.request(fakes.SHOP, "13800138000", purpose=purpose)
    code = harness.sender.last_code
    return harness.service.verify(fakes.SHOP, "13800138000", sent.verification_id, code).proof


@pytest.mark.parametrize(
    "bring",
    [
        lambda client, proof: client.post("/login/x", data={"proof": proof}),
        lambda client, proof: client.post("/login/x", json={"proof": proof}),
        lambda client, proof: client.post("/login/x", headers={"X-OTP-Proof": proof}),
    ],
    ids=["form", "json", "header"],
)
def test_view_gets_the_phone_of_the_proof(harness: fakes.Harness, bring: Callable[..., TestResponse]) -> None:
    answer = bring(login_app(redeem_in(harness)).test_client(), minted(harness))

    assert answer.get_json() == {"phone": "+8613800138000", "where": "x"}


def test_proof_in_the_query_string_is_ignored(harness: fakes.Harness) -> None:
    answer = login_app(redeem_in(harness)).test_client().post(f"/login/x?proof={minted(harness)}")

    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        (lambda harness, proof: proof[:-8] + proof[-8:].swapcase(), 422, "invalid_proof"),
        (lambda harness, proof: "x" * 5000, 422, "invalid_proof"),
        (lambda harness, proof: harness.clock.advance(200) or proof, 410, "proof_expired"),
        (lambda harness, proof: redeem_in(harness)(proof, purpose="login") and proof, 409, "proof_redeemed"),
        (
            lambda harness, proof: setattr(harness.store, "failure", errors.StoreUnavailable()) or proof,
            503,
            "store_unavailable",
        ),
        (lambda harness, proof: "", 400, "invalid_request"),
    ],
    ids=["forged", "long", "expired", "used", "store-down", "empty"],
)
def test_call_without_a_good_proof_is_a_problem(
    harness: fakes.Harness, spoil: Callable[[fakes.Harness, str], str], status: int, code: str
) -> None:
    proof = spoil(harness, minted(harness))
    answer = login_app(redeem_in(harness)).test_client().post("/login/x", data={"proof": proof})

    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["request_id"] == answer.headers["X-Request-Id"]
    assert not proof or proof not in answer.text


@pytest.mark.parametrize("body", ["[]", "1", "{", '{"proof": 5}', '{"proof": ["x"]}', "null"])
def test_json_without_a_proof_is_rejected(harness: fakes.Harness, body: str) -> None:
    answer = (
        login_app(redeem_in(harness))
        .test_client()
        .post("/login/x", data=body, content_type="application/json")
    )

    assert answer.status_code in (400, 422)


def test_proof_for_another_purpose_is_refused(harness: fakes.Harness) -> None:
    answer = (
        login_app(redeem_in(harness))
        .test_client()
        .post("/login/x", data={"proof": minted(harness, "signup")})
    )

    assert answer.get_json()["code"] == "invalid_proof"


def test_application_can_handle_the_rejection(harness: fakes.Harness) -> None:
    app = login_app(redeem_in(harness), refused=lambda error: (f"sorry: {error.code}", 400))

    assert app.test_client().post("/login/x").text == "sorry: invalid_request"


def test_phone_in_the_form_is_ignored(harness: fakes.Harness) -> None:
    body = {"proof": minted(harness), "phone": "+8613900139000"}
    answer = login_app(redeem_in(harness)).test_client().post("/login/x", data=body)

    assert answer.get_json()["phone"] == "+8613800138000"


def test_parallel_logins_with_one_proof_succeed_once(
    mounted: tuple[Flask, OtpBlueprint], sandbox: SandboxServer
) -> None:
    app, otp = mounted
    proof = proof_of(app, sandbox, new_phone())
    view = login_app(otp.redeem_for("shop"))
    statuses: list[int] = []
    barrier = threading.Barrier(12)

    def enter() -> None:
        client = view.test_client()
        barrier.wait()
        statuses.append(client.post("/login/x", data={"proof": proof}).status_code)

    threads = [threading.Thread(target=enter) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] + [409] * 11


def test_proofs_can_be_redeemed_over_the_network(
    mounted: tuple[Flask, OtpBlueprint], sandbox: SandboxServer
) -> None:
    app, _ = mounted
    proof = proof_of(app, sandbox, new_phone())
    with DevServer(app, 0) as server, OtpClient(f"{server.url}/auth", KEY) as client:
        view = login_app(client.redeem).test_client()
        statuses = [view.post("/login/x", data={"proof": p}).status_code for p in (proof, proof, "x.y.z")]

    assert statuses == [200, 409, 422]


def test_proofs_can_be_read_without_the_service(
    mounted: tuple[Flask, OtpBlueprint], sandbox: SandboxServer
) -> None:
    app, _ = mounted
    proof, used = proof_of(app, sandbox, new_phone()), set[str]()

    def seen(jti: str, _: int) -> bool:
        known = jti in used
        used.add(jti)
        return known

    read = partial(read_proof, keys=[PROOF_KEY], client="shop", seen=seen)
    view = login_app(read).test_client()

    assert [view.post("/login/x", data={"proof": proof}).status_code for _ in range(2)] == [200, 409]


def raising(error: Exception) -> Callable[..., Any]:
    def redeem(proof: str, *, purpose: str) -> Any:
        raise error

    return redeem


def test_service_that_cannot_be_reached_is_a_503() -> None:
    answer = login_app(raising(ServiceUnreachable("x"))).test_client().post("/login/x", data={"proof": "p"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_configuration_error_of_the_application_is_not_a_problem_document() -> None:
    """A visitor cannot fix a wrong key of the application."""
    app = login_app(raising(from_problem(401, {"code": "unauthorized", "title": "t"})))
    app.testing = True

    with pytest.raises(Unauthorized):
        app.test_client().post("/login/x", data={"proof": "p"})


# ── the docs ──


def test_examples_of_the_docs_run(
    redis_server: Server, sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block runs unchanged, with the configuration and the Redis of this test."""
    block = DOC.read_text("utf-8").split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": __name__}
    given = settings(sandbox.url)
    monkeypatch.setattr("otp_service.settings.load", lambda *_: given)
    assert "redis.Redis()" in block
    exec(block.replace("redis.Redis()", f"redis.Redis(port={redis_server.port})"), names)  # noqa: S102 - our own text
    app, phone = names["app"], new_phone()
    answer = app.test_client().post("/login", data={"proof": proof_of(app, sandbox, phone)})

    names["otp"].close()
    assert answer.text == f"Welcome, {phone}"
