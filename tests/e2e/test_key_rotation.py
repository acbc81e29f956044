"""docs/key-rotation.md, section by section, with a running service: issued codes and proofs stay valid."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from e2e.test_reload import configure, reload
from repository.test_docs import SETTINGS
from standardwebhooks import Webhook, WebhookVerificationError
from support.deployment import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    Answer,
    Deployment,
    new_phone,
    post,
    running_service,
)
from support.package_sources import ROOT
from support.redis_clusters import run_command
from support.redis_servers import Server, redis_binary, running

from otp_service.domain.clients import key_digest
from otp_service.store.acl import server_rules

DOC = (ROOT / "docs" / "key-rotation.md").read_text("utf-8")
SITE = "https://www.example.com"
SECRETS = re.compile(
    r"(secret|token|_key|_keys|key_id|digests|password_file|roots|active_kid|(ca|cert|key)_file)$"
)


@dataclass(frozen=True)
class Issued:
    """A code that was not submitted yet, and a proof that was not redeemed yet."""

    phone: str
    verification_id: str
    code: str
    proof: str


def issue(service: Deployment, code_of: Callable[[str], str] | None = None) -> Issued:
    code_of = code_of or service.code
    verified, waiting = new_phone(), new_phone()
    response = service.request(verified)
    assert response.status == 201, response.text
    proof = service.verify(verified, response.body["verification_id"], code_of(verified)).body["proof"]
    verification_id = service.request(waiting).body["verification_id"]
    return Issued(waiting, verification_id, code_of(waiting), proof)


def verify(service: Deployment, issued: Issued) -> Answer:
    return service.verify(issued.phone, issued.verification_id, issued.code)


def redeem(service: Deployment, issued: Issued) -> Answer:
    return service.post("/otp/redeem", {"proof": issued.proof, "purpose": "login"})


def is_valid(service: Deployment, issued: Issued) -> bool:
    return (verify(service, issued).status, redeem(service, issued).status) == (200, 200)


def step(
    service: Deployment, *changes: tuple[str, str], code_of: Callable[[str], str] | None = None
) -> Issued:
    """Change the configuration and reload. Check that codes and proofs issued before and after are valid.

    Return an unused code and proof from before the change.
    """
    issued, unused = issue(service, code_of), issue(service, code_of)
    configure(service, *changes)
    reload(service)
    assert is_valid(service, issued)
    assert is_valid(service, issue(service, code_of))
    return unused


@pytest.fixture
def service(redis_server: Server, tmp_path: Path) -> Iterator[Deployment]:
    with running_service(redis_server, tmp_path) as service:
        yield service


def test_root_secrets(service: Deployment) -> None:
    new = secrets.token_urlsafe(32)
    step(service, ("[keys.roots]", f'[keys.roots]\n2026b = "{new}"'))
    of_the_old_root = step(service, ('active_kid = "2026a"', 'active_kid = "2026b"'))
    step(service, (f'2026a = "{service.secrets.root}"\n', ""))

    assert verify(service, of_the_old_root).body["code"] == "wrong_code"


def test_pseudonym_key(service: Deployment) -> None:
    issued, spent = issue(service), issue(service)
    assert redeem(service, spent).status == 200
    assert service.request(issued.phone).body["code"] == "cooldown_active"
    configure(service, (service.secrets.pseudonym_key, secrets.token_urlsafe(32)))
    reload(service)

    assert verify(service, issued).body["code"] == "verification_not_found"
    assert redeem(service, issued).status == 200
    assert redeem(service, spent).status == 200
    # Our cooldown has ended; the provider has its own.
    assert service.request(issued.phone).body["code"] == "provider_rate_limited"
    assert is_valid(service, issue(service))


def test_secret_keys_of_clients(service: Deployment) -> None:
    old, new = service.secrets.secret_key, f"sk_{secrets.token_urlsafe(32)}"
    step(service, ("secret_key_digests = [", f'secret_key_digests = ["{key_digest(new)}", '))
    service.secrets.secret_key = new
    step(service, (f', "{key_digest(old)}"]', "]"))
    service.secrets.secret_key = old

    assert service.request(new_phone()).body["code"] == "unauthorized"


def test_publishable_keys(redis_server: Server, tmp_path: Path) -> None:
    old, new = (f"pk_{secrets.token_urlsafe(24)}" for _ in range(2))
    pages = f'[clients.shop]\npublishable_key = "{old}"\norigins = ["{SITE}"]'

    def call(key: str, path: str, body: object) -> Answer:
        return post(f"{service.url}/otp/{path}", body, Authorization=f"Bearer {key}", Origin=SITE)

    with running_service(
        redis_server, tmp_path, change=lambda text: text.replace("[clients.shop]", pages)
    ) as service:
        phone = new_phone()
        response = call(old, "request", {"phone": phone, "purpose": "login"})
        issued = {
            "phone": phone,
            "verification_id": response.body["verification_id"],
            "code": service.code(phone),
        }
        step(service, (old, new))

        assert call(old, "verify", issued).body["code"] == "unauthorized"
        assert call(new, "verify", issued).status == 200


def test_proof_keys(service: Deployment) -> None:
    old, new = service.secrets.proof_key, secrets.token_urlsafe(32)
    step(service, (f'"{old}"]', f'"{old}", "{new}"]'))
    of_the_old_key = step(service, (f'"{old}", "{new}"]', f'"{new}", "{old}"]'))
    step(service, (f'"{new}", "{old}"]', f'"{new}"]'))

    assert redeem(service, of_the_old_key).body["code"] == "invalid_proof"


def test_aliyun_access_keys(redis_server: Server, tmp_path: Path) -> None:
    known = {ACCESS_KEY_ID: ACCESS_KEY_SECRET, "newId": "newSecret"}
    first = f'access_key_id = "{ACCESS_KEY_ID}"\naccess_key_secret = "{ACCESS_KEY_SECRET}"\n'
    second = 'second_access_key_id = "newId"\nsecond_access_key_secret = "newSecret"\n'
    with running_service(
        redis_server, tmp_path, sandbox_config=lambda config, _: replace(config, access_keys=known)
    ) as service:
        step(service, (first, first + second))
        issued = issue(service)
        del known[ACCESS_KEY_ID]  # disabled in Aliyun's console
        assert is_valid(service, issued)
        assert is_valid(service, issue(service))
        step(service, (first + second, second.replace("second_", "")))


def test_redis_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    file.chmod(0o600)

    def with_a_user(text: str) -> str:
        return text.replace("redis://", "redis://otp_service@").replace(
            "[log]", f'password_file = "{file}"\n[log]'
        )

    with running(redis_binary()) as server:
        run_command(server, "ACL", "SETUSER", "otp_service", "reset", "on", ">first", *server_rules())
        with running_service(server, tmp_path, change=with_a_user) as service:
            issued, later = issue(service), issue(service)
            run_command(server, "ACL", "SETUSER", "otp_service", ">second")
            file.write_text("second\n")
            run_command(server, "ACL", "SETUSER", "otp_service", "<first")

            assert is_valid(service, issued)
            reload(service)  # closes the connections that used the old password
            assert is_valid(service, later)
            assert is_valid(service, issue(service))


@dataclass
class Receiver:
    """A webhook gateway that accepts bodies signed with one of its *secrets*, and shows the codes."""

    secrets: list[str]
    url: str = ""
    codes: dict[str, str] = field(default_factory=dict)

    def accepts(self, body: str, headers: dict[str, str]) -> bool:
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
            data = json.loads(body)["data"]
            self.codes[data["phone"]] = data["code"]
            return True
        return False


@contextmanager
def receiving(receiver: Receiver) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(
                200 if receiver.accepts(body, {k.lower(): v for k, v in self.headers.items()}) else 401
            )
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/otp"
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield
        server.shutdown()


def test_webhook_secrets(redis_server: Server, tmp_path: Path) -> None:
    old, new = webhook_secret(), webhook_secret()
    receiver = Receiver([old])

    def by_webhook(text: str) -> str:
        route = f'[[routes]]\nname = "own"\nprovider = "webhook"\nurl = "{receiver.url}"\nsecret = "{old}"\n'
        return text.partition("[[routes]]")[0] + route

    with (
        receiving(receiver),
        running_service(redis_server, tmp_path, change=by_webhook) as service,
    ):
        receiver.secrets = [old, new]
        step(service, (old, new), code_of=lambda phone: receiver.codes[phone])
        receiver.secrets = [new]

        assert is_valid(service, issue(service, lambda phone: receiver.codes[phone]))


def test_report_address(redis_server: Server, tmp_path: Path) -> None:
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with running_service(
        redis_server,
        tmp_path,
        change=lambda text: text.replace("[log]", f'[reports]\nsecret = "{old}"\n[log]'),
    ) as service:
        assert service.get(f"/aliyun/reports/{old}").status == 200
        step(service, (old, new))

        assert service.get(f"/aliyun/reports/{old}").status == 404
        assert service.get(f"/aliyun/reports/{new}").status == 200


def webhook_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


# ── the document ──


@pytest.mark.parametrize("heading", re.findall(r"^## (.+)$", DOC, re.MULTILINE))
def test_every_section_has_its_test(heading: str) -> None:
    assert f"test_{heading.lower().replace(' ', '_')}" in globals()


@pytest.mark.parametrize("setting", [name for name in SETTINGS if SECRETS.search(name)])
def test_every_setting_that_holds_a_key_has_its_procedure(setting: str) -> None:
    assert f"`{setting}`" in DOC
