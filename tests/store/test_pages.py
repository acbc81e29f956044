"""Hosted pages in the store, on the fake and on both real servers: written by one, and counted."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from support import fakes
from support.phone_stories import Phone

from otp_service.domain.clients import Client, Clients
from otp_service.domain.errors import LimitReached, OtpError, StoreUnavailable
from otp_service.domain.hosted_page import PageEvent, PageQuota
from otp_service.services.hosted_pages import CREATED_PER_OPENED, FormSubmission, HostedPages
from otp_service.store import keys
from otp_service.store.pages import RedisPages


@pytest.fixture
def pages(phone: Phone) -> RedisPages:
    return RedisPages(phone.store.redis)


def a_tag() -> str:
    return secrets.token_urlsafe(12)


QUOTA = PageQuota(total=3, per_ip=2)
OPENED, CREATED = PageEvent.OPENED, PageEvent.CREATED


def admitted(pages: RedisPages, client: str, times: int, address: str = "", event: PageEvent = OPENED) -> int:
    count = 0
    for _ in range(times):
        with suppress(LimitReached):
            pages.check_rate(event, client, QUOTA, address)
            count += 1
    return count


@dataclass
class Site:
    """A client's hosted pages on a real store, and its visitors."""

    harness: fakes.Harness
    client: Client
    pages: HostedPages

    def create(self, client_ip: str | None = None) -> str:
        return self.pages.create(
            self.client,
            purpose="login",
            return_url=fakes.RETURN_URL,
            state="",
            locale="",
            client_ip=client_ip,
        ).page_id

    def first_form(self, page_id: str, address: str) -> OtpError | None:
        look = self.pages.view(page_id, "")
        form = FormSubmission(look.form_key, "phone", phone="no number")
        error = self.pages.submit(page_id, look.browser_token, form, address)[1]
        return error if isinstance(error, LimitReached) else None


@pytest.fixture
def site(pages: RedisPages) -> Site:
    client = replace(fakes.SHOP, id=a_tag(), pages_per_10_minutes=40)
    harness = fakes.harness(client)
    hosted = HostedPages(
        service=harness.service,
        clients=Clients([client]),
        store=pages,
        keyring=harness.keyring,
        clock=harness.clock,
        deadline=6,
        draw=secrets.token_bytes,
    )
    return Site(harness, client, hosted)


CROWD, NEIGHBOR = "203.0.113.7", "198.51.100.4"


def test_page_is_kept_until_its_end(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.create(tag, b"sealed\x00\xff", 600)
    kept = pages.load(tag)

    assert kept is not None
    assert (kept.version, kept.encrypted) == (0, b"sealed\x00\xff")
    assert 0 < phone.client.pttl(keys.page(tag)) <= 600_000
    assert pages.load(a_tag()) is None


def test_page_is_never_written_over_by_a_new_one(pages: RedisPages) -> None:
    tag = a_tag()
    pages.create(tag, b"first", 600)
    pages.create(tag, b"second", 600)

    kept = pages.load(tag)
    assert kept is not None
    assert kept.encrypted == b"first"


def test_who_has_read_the_newest_writes(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.create(tag, b"first", 600)
    phone.client.pexpire(keys.page(tag), 300_000)

    assert pages.compare_and_set(tag, 0, b"second")
    assert not pages.compare_and_set(tag, 0, b"stale")
    assert pages.compare_and_set(tag, 1, b"third")
    kept = pages.load(tag)
    assert kept is not None
    assert (kept.version, kept.encrypted) == (2, b"third")
    assert 0 < phone.client.pttl(keys.page(tag)) <= 300_000


def test_page_that_is_gone_does_not_come_back(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.create(tag, b"first", 600)
    phone.client.delete(keys.page(tag))

    assert not pages.compare_and_set(tag, 0, b"second")
    assert pages.load(tag) is None


def test_of_many_that_write_at_once_one_does(pages: RedisPages) -> None:
    tag = a_tag()
    pages.create(tag, b"first", 600)
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(pages.compare_and_set(tag, 0, b"%d" % n)))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 19 + [True]


def test_page_of_another_format_is_not_touched(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    phone.client.set(keys.page(tag), b"\x02newer")

    with pytest.raises(StoreUnavailable):
        pages.load(tag)
    with pytest.raises(StoreUnavailable):
        pages.compare_and_set(tag, 0, b"older")
    assert phone.client.get(keys.page(tag)) == b"\x02newer"


def test_client_makes_so_many_pages_in_ten_minutes(phone: Phone, pages: RedisPages) -> None:
    client = a_tag()

    assert admitted(pages, client, 10) == 3
    assert admitted(pages, a_tag(), 10) == 3
    assert 600_000 < phone.client.pttl(keys.page_counts(client, OPENED)) <= 660_000


def test_address_has_a_share_of_its_clients_pages(phone: Phone, pages: RedisPages) -> None:
    client, one, other = a_tag(), a_tag(), a_tag()

    assert admitted(pages, client, 10, one) == 2
    assert admitted(pages, client, 10, other) == 1
    assert admitted(pages, a_tag(), 10, one) == 2
    for address in (one, other):
        assert 600_000 < phone.client.pttl(keys.page_counts(client, OPENED, address)) <= 660_000


def test_creating_and_opening_are_counted_apart(pages: RedisPages) -> None:
    client, address = a_tag(), a_tag()
    admitted(pages, client, 10, address, CREATED)

    assert admitted(pages, client, 10, address, OPENED) == 2
    assert admitted(pages, client, 10) == 1


@pytest.mark.parametrize(
    ("event", "of_address", "of_client"),
    [
        (OPENED, "address_pages_per_10_minutes", "client_pages_per_10_minutes"),
        (CREATED, "address_new_pages_per_10_minutes", "client_new_pages_per_10_minutes"),
    ],
)
def test_refusal_names_the_limit(
    pages: RedisPages, event: PageEvent, of_address: str, of_client: str
) -> None:
    client, address = a_tag(), a_tag()
    admitted(pages, client, 2, address, event)
    with pytest.raises(LimitReached) as share:
        pages.check_rate(event, client, QUOTA, address)
    admitted(pages, client, 1, "", event)
    with pytest.raises(LimitReached) as total:
        pages.check_rate(event, client, QUOTA, a_tag())

    assert (share.value.limit, total.value.limit) == (of_address, of_client)
    assert 0 < share.value.retry_after <= 600


def test_refused_address_writes_nothing(phone: Phone, pages: RedisPages) -> None:
    client, late = a_tag(), a_tag()
    admitted(pages, client, 3)
    admitted(pages, client, 5, late)

    assert not phone.client.exists(keys.page_counts(client, OPENED, late))


def test_many_page_loads_from_one_address_leave_the_quota_to_others(site: Site) -> None:
    loaded = 0
    for _ in range(1000):
        with suppress(LimitReached):
            site.pages.view(site.create(CROWD), "")
            loaded += 1

    assert loaded == 30
    assert [site.first_form(site.create(f"198.51.100.{n}"), f"198.51.100.{n}") for n in range(40)] == [
        None
    ] * 40


def test_page_loads_without_an_address_leave_the_quota_to_others(site: Site) -> None:
    """Also those of previews: the pages are created and loaded, and nobody sends a form."""
    for _ in range(200):
        site.pages.view(site.create(), "")

    assert [site.first_form(site.create(), f"198.51.100.{n}") for n in range(40)] == [None] * 40


def test_address_that_opens_many_pages_leaves_the_quota_to_others(site: Site) -> None:
    errors = [site.first_form(site.create(), CROWD) for _ in range(50)]

    assert [error.limit for error in errors if isinstance(error, LimitReached)] == [
        "address_pages_per_10_minutes"
    ] * 20
    assert site.first_form(site.create(), NEIGHBOR) is None


def test_creation_without_an_address_is_bounded_too(site: Site) -> None:
    site.client = replace(site.client, pages_per_10_minutes=2)
    for _ in range(2 * CREATED_PER_OPENED):
        site.create()

    with pytest.raises(LimitReached) as full:
        site.create()
    assert full.value.limit == "client_new_pages_per_10_minutes"


def test_no_address_lies_in_the_store(phone: Phone, site: Site) -> None:
    site.first_form(site.create(CROWD), CROWD)
    mine = list(phone.client.scan_iter(f"otp:pages:{{{site.client.id}}}*"))
    seen = b"".join(key + (phone.client.get(key) or b"") for key in mine)

    assert len(mine) == 4
    assert CROWD.encode() not in seen
    assert all(0 < phone.client.pttl(key) <= 660_000 for key in mine)


def test_wait_that_is_told_is_true(phone: Phone, pages: RedisPages) -> None:
    client = a_tag()
    admitted(pages, client, 3)
    phone.pass_time(200)
    with pytest.raises(LimitReached) as full:
        pages.check_rate(OPENED, client, QUOTA, "")
    wait = full.value.retry_after
    phone.pass_time(wait - 10)  # the server's own clock goes on meanwhile
    early = admitted(pages, client, 1)
    phone.pass_time(10)

    assert full.value.limit == "client_pages_per_10_minutes"
    assert 340 <= wait <= 400
    assert early == 0
    assert admitted(pages, client, 10) == 3


def test_refusal_counts_nothing(phone: Phone, pages: RedisPages) -> None:
    client = a_tag()
    admitted(pages, client, 100)
    phone.pass_time(661)

    assert admitted(pages, client, 100) == 3
