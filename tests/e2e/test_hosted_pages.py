"""Hosted pages over the real server: several processes, a real Redis, and what it stores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from urllib.parse import urlencode, urlsplit

import pytest
from support.deployment import Answer, Deployment, at_once, exchange, new_phone, running_service
from support.html_forms import HtmlPage
from support.redis_servers import redis_binary, running

RETURN_URL = "https://www.shop.example/verified"
PUBLIC_URL = "http://127.0.0.1:1/behind/a/proxy"


def with_pages(text: str) -> str:
    text = text.replace("[service]\n", f'[service]\npublic_url = "{PUBLIC_URL}"\n')
    client = f'[clients.shop]\nreturn_urls = ["{RETURN_URL}"]\npages_per_10_minutes = 20\n'
    return text.replace("[clients.shop]\n", client)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("service")
    with (
        running(redis_binary()) as redis,
        running_service(redis, directory, change=with_pages) as deployment,
    ):
        yield deployment


class Visitor:
    """A browser on one hosted page; without a *url* a new page is created."""

    def __init__(self, service: Deployment, state: str = "s1", url: str = "") -> None:
        self.url = url or self._new_page(service, state)
        self.cookie = ""

    @staticmethod
    def _new_page(service: Deployment, state: str) -> str:
        body = {"purpose": "login", "return_url": RETURN_URL, "state": state}
        url = service.post("/otp/pages", body).body["url"]
        assert url.startswith(f"{PUBLIC_URL}/otp/pages/")
        return service.url + urlsplit(url).path.removeprefix("/behind/a/proxy")

    def open(self) -> Answer:
        answer = exchange("GET", self.url, None, {"Cookie": self.cookie} if self.cookie else {})
        self.cookie = answer.headers.get("set-cookie", self.cookie).partition(";")[0]
        return answer

    def form(self, action: str, **typed: str) -> dict[str, str]:
        return {**HtmlPage(self.open().text).form(action).fields, "wish": action, **typed}

    def post(self, fields: dict[str, str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": self.cookie}
        return exchange("POST", self.url, urlencode(fields).encode(), headers)

    def title(self) -> str:
        return HtmlPage(self.open().text).title


def test_simultaneous_clicks_send_one_sms_and_use_one_attempt(service: Deployment) -> None:
    visitor, phone = Visitor(service), new_phone()
    phone_form = visitor.form("phone", phone=phone)
    answers = at_once([lambda: visitor.post(phone_form)] * 8)
    wrong = "000001" if service.code(phone) == "000000" else "000000"
    code_form = visitor.form("code", code=wrong)
    answers += at_once([lambda: visitor.post(code_form)] * 8)

    assert {answer.status for answer in answers} == {303}
    assert len(service.inbox(phone)) == 1
    assert "You have 4 attempts left." in visitor.open().text


def test_only_one_of_many_simultaneous_browsers_gets_the_page(service: Deployment) -> None:
    first = Visitor(service)
    visitors = [first, *(Visitor(service, url=first.url) for _ in range(7))]
    phones = [new_phone() for _ in visitors]
    forms = [visitor.form("phone", phone=phone) for visitor, phone in zip(visitors, phones, strict=True)]
    at_once([partial(visitor.post, form) for visitor, form in zip(visitors, forms, strict=True)])

    assert sorted(visitor.open().status for visitor in visitors) == [200] + [403] * 7
    assert sum(len(service.inbox(phone)) for phone in phones) == 1


def test_stored_pages_are_encrypted(service: Deployment) -> None:
    visitor, phone = Visitor(service, state="a-state-to-look-for"), new_phone()
    visitor.post(visitor.form("phone", phone=phone))
    code = service.code(phone)
    visitor.post(visitor.form("code", code=code))
    (done,) = HtmlPage(visitor.open().text).forms
    redeemed = service.post("/otp/redeem", {"proof": done.fields["proof"], "purpose": "login"})
    with service.redis.client() as client:
        kept = {key: client.get(key) or b"" for key in client.scan_iter()}
        lives = {key: client.pttl(key) for key in kept}
    seen = b"".join(key + value for key, value in kept.items()).decode("latin-1") + service.log.read_text()
    page_id = visitor.url.rpartition("/")[2]

    assert redeemed.body["phone"] == phone
    assert (done.action, done.fields["state"]) == (RETURN_URL, "a-state-to-look-for")
    assert any(key.startswith(b"otp:page:{") for key in kept)
    assert all(0 < life <= 600_000 for key, life in lives.items() if key.startswith(b"otp:page:"))
    for secret in (
        phone[3:],
        done.fields["proof"],
        redeemed.body["verification_id"],
        "a-state-to-look-for",
        "shop.example",
        page_id,
        visitor.cookie[9:],
    ):
        assert secret not in seen


def test_client_that_creates_too_many_pages_gets_a_429(service: Deployment) -> None:
    body = {"purpose": "login", "return_url": RETURN_URL}
    answers = [service.post("/otp/pages", body) for _ in range(205)]
    refused = [answer for answer in answers if answer.status != 201]

    assert len(refused) >= 5
    assert {(a.status, a.body["code"], a.body["limit"]) for a in refused} == {
        (429, "limit_reached", "client_new_pages_per_10_minutes")
    }
    assert 0 < int(refused[-1].headers["retry-after"]) <= 600
