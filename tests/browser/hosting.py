"""Runs the service, the sandbox, and the site that hosted pages return to."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

from flask import Flask, request
from support.deployment import new_phone
from support.events import RecordingEvents
from support.redis_servers import Server, redis_binary, running

from otp_service.app import build
from otp_service.cli.dev_server import DevServer
from otp_service.domain.clients import key_digest
from otp_service.sandbox import SandboxConfig, SandboxServer, start_sandbox
from otp_service.sandbox.config import DEFAULT_SIGN_NAME
from otp_service.settings import from_mapping

KEY = "sk_hosting-0123456789abcdefghijklmnopqrstuv"
ACCOUNT = {"hosting": secrets.token_urlsafe(32)}
SHOP_URL = "https://www.shop.example/verified"
"""A return URL for screenshots."""

RETURNED = "<!doctype html><html lang=en><title>Shop</title><h1>Welcome</h1>"


@dataclass
class Hosting:
    """The running service, site, sandbox and Redis; *returned* are the forms that the site received."""

    url: str
    site: str
    sandbox: SandboxServer
    redis: Server
    returned: list[dict[str, str]] = field(default_factory=list)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        http_request = Request(f"{self.url}{path}", json.dumps(body).encode(), headers)  # noqa: S310 - ours
        with urlopen(http_request, timeout=20) as answer:  # noqa: S310 - ours
            return json.load(answer)

    def create_page(self, **more: str) -> str:
        """Create a page and return its URL."""
        body = {"purpose": "signup", "return_url": f"{self.site}/verified", "state": "s1", **more}
        return str(self.post("/otp/pages", body)["url"])

    def inbox(self, phone: str) -> list[dict[str, Any]]:
        inbox_url = f"{self.sandbox.inbox_url}.json?phone=%2B{phone[1:]}"
        with urlopen(inbox_url, timeout=20) as answer:  # noqa: S310 - ours
            messages: list[dict[str, Any]] = json.load(answer)
        return messages

    def code(self, phone: str) -> str:
        return str(self.inbox(phone)[0]["code"])

    def exhaust(self, sends: int, address: str = "127.0.0.1") -> None:
        """Send *sends* SMS from *address*."""
        for _ in range(sends):
            self.post("/otp/request", {"phone": new_phone(), "purpose": "signup", "client_ip": address})


@contextmanager
def hosting(**tables: dict[str, Any]) -> Iterator[Hosting]:
    """Run service, sandbox and site until the block ends; *tables* replace those of the settings."""
    returned: list[dict[str, str]] = []
    with ExitStack() as stack:
        site = stack.enter_context(DevServer(_site(returned), 0))
        sandbox = stack.enter_context(start_sandbox(SandboxConfig.default(ACCOUNT)))
        redis = stack.enter_context(running(redis_binary()))
        built = build(_settings(site.url, sandbox.url, redis.url, tables), events=RecordingEvents())
        stack.callback(built.close)
        service = stack.enter_context(DevServer(built.app, 0))
        yield Hosting(service.url, site.url, sandbox, redis, returned)


def _site(returned: list[dict[str, str]]) -> Flask:
    site = Flask("site", static_folder=None)

    @site.post("/verified")
    def verified() -> str:
        returned.append(request.form.to_dict())
        return RETURNED

    @site.get("/frame")
    def frame() -> str:
        return f'<!doctype html><title>evil</title><iframe src="{request.args["page"]}"></iframe>'

    return site


def _settings(site: str, sandbox: str, redis_url: str, tables: dict[str, dict[str, Any]]) -> Any:
    ((access_key_id, access_key_secret),) = ACCOUNT.items()
    client = {
        "secret_key_digests": [key_digest(KEY)],
        "proof_keys": [secrets.token_urlsafe(32)],
        "return_urls": [f"{site}/verified", SHOP_URL],
        "pages_per_ip_per_10_minutes": 1_000,  # all tests come from one address
    }
    raw: dict[str, Any] = {
        "keys": {
            "active_kid": "a",
            "pseudonym_key": secrets.token_urlsafe(32),
            "roots": {"a": secrets.token_urlsafe(32)},
        },
        # A starting browser may use the whole CPU.
        "redis": {"url": redis_url, "read_timeout": 5.0},
        "purposes": {"signup": {}},
        "clients": {"web": client},
        "ip_limits": {"sends_per_hour": 1000, "sends_per_day": 1000, "phones_per_day": 1000},
        "routes": [
            {
                "name": "main",
                "provider": "sandbox",
                "access_key_id": access_key_id,
                "access_key_secret": access_key_secret,
                "endpoint": sandbox,
                "sign_name": DEFAULT_SIGN_NAME,
                "templates": [{"template_code": "SMS_100000001"}],
            }
        ],
    }
    return from_mapping({**raw, **tables})
