"""Hosted pages in the store: concurrent writes and rate limits, on every backend."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from support import fakes
from support.phone_in_store import Phone

from otp_service.domain.clients import Client, Clients
from otp_service.domain.errors import LimitReached, OtpError, StoreUnavailable
from otp_service.domain.hosted_page import PageEvent, PageQuota
from otp_service.services.hosted_pages import CREATED_PER_OPENED, FormSubmission, HostedPages
from otp_service.store import keys
from otp_service.store.pages import RedisPages


@pytest.fixture
def pages(phone: Phone) -> RedisPages:
    return RedisPages(phone.store.redis)


def a_hash() -> str:
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
        view = self.pages.view(page_id, "")
        form = FormSubmission(view.form_key, "phone", phone="no number")
        error = self.pages.submit(page_id, view.browser_token, form, address)[1]
        return error if isinstance(error, LimitReached) else None


@pytest.fixture
def site(pages: RedisPages) -> Site:
    client = replace(fakes.SHOP, id=a_hash(), pages_per_10_minutes=40)
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


VISITOR, NEIGHBOR = "203.0.113.7", "198.51.100.4"


def test_page_is_stored_until_its_ttl_ends(phone: Phone, pages: RedisPages) -> None:
    page_hash = a_hash()
    pages.create(page_hash, b"sealed\x00\xff", 600)
    stored = pages.load(page_hash)

    assert stored is not None
    assert (stored.version, stored.encrypted) == (0, b"sealed\x00\xff")
    assert 0 < phone.client.pttl(keys.page(page_hash)) <= 600_000
    assert pages.load(a_hash()) is None


def test_new_page_never_overwrites_another(pages: RedisPages) -> None:
    page_hash = a_hash()
    pages.create(page_hash, b"first", 600)
    pages.create(page_hash, b"second", 600)

    stored = pages.load(page_hash)
    assert stored is not None
    assert stored.encrypted == b"first"


def test_only_the_reader_of_the_newest_version_writes(phone: Phone, pages: RedisPages) -> None:
    page_hash = a_hash()
    pages.create(page_hash, b"first", 600)
    phone.client.pexpire(keys.page(page_hash), 300_000)

    assert pages.compare_and_set(page_hash, 0, b"second")
    assert not pages.compare_and_set(page_hash, 0, b"stale")
    assert pages.compare_and_set(page_hash, 1, b"third")
    stored = pages.load(page_hash)
    assert stored is not None
    assert (stored.version, stored.encrypted) == (2, b"third")
    assert 0 < phone.client.pttl(keys.page(page_hash)) <= 300_000


def test_expired_page_is_not_restored(phone: Phone, pages: RedisPages) -> None:
    page_hash = a_hash()
    pages.create(page_hash, b"first", 600)
    phone.client.delete(keys.page(page_hash))

    assert not pages.compare_and_set(page_hash, 0, b"second")
    assert pages.load(page_hash) is None


def test_one_of_many_concurrent_writers_succeeds(pages: RedisPages) -> None:
    page_hash = a_hash()
    pages.create(page_hash, b"first", 600)
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(pages.compare_and_set(page_hash, 0, b"%d" % n)))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 19 + [True]


def test_page_of_another_format_is_left_alone(phone: Phone, pages: RedisPages) -> None:
    page_hash = a_hash()
    phone.client.set(keys.page(page_hash), b"\x02newer")

    with pytest.raises(StoreUnavailable):
        pages.load(page_hash)
    with pytest.raises(StoreUnavailable):
        pages.compare_and_set(page_hash, 0, b"older")
    assert phone.client.get(keys.page(page_hash)) == b"\x02newer"


def test_client_may_create_its_limit_of_pages_in_ten_minutes(phone: Phone, pages: RedisPages) -> None:
    client = a_hash()

    assert admitted(pages, client, 10) == 3
    assert admitted(pages, a_hash(), 10) == 3
    assert 600_000 < phone.client.pttl(keys.page_counts(client, OPENED)) <= 660_000


def test_ip_has_its_own_page_limit(phone: Phone, pages: RedisPages) -> None:
    client, one, other = a_hash(), a_hash(), a_hash()

    assert admitted(pages, client, 10, one) == 2
    assert admitted(pages, client, 10, other) == 1
    assert admitted(pages, a_hash(), 10, one) == 2
    for address in (one, other):
        assert 600_000 < phone.client.pttl(keys.page_counts(client, OPENED, address)) <= 660_000


def test_creation_and_opening_are_counted_separately(pages: RedisPages) -> None:
    client, address = a_hash(), a_hash()
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
def test_page_rejection_names_the_limit(
    pages: RedisPages, event: PageEvent, of_address: str, of_client: str
) -> None:
    client, address = a_hash(), a_hash()
    admitted(pages, client, 2, address, event)
    with pytest.raises(LimitReached) as of_ip:
        pages.check_rate(event, client, QUOTA, address)
    admitted(pages, client, 1, "", event)
    with pytest.raises(LimitReached) as total:
        pages.check_rate(event, client, QUOTA, a_hash())

    assert (of_ip.value.limit, total.value.limit) == (of_address, of_client)
    assert 0 < of_ip.value.retry_after <= 600


def test_rejected_ip_writes_nothing(phone: Phone, pages: RedisPages) -> None:
    client, late = a_hash(), a_hash()
    admitted(pages, client, 3)
    admitted(pages, client, 5, late)

    assert not phone.client.exists(keys.page_counts(client, OPENED, late))


def test_page_creation_from_one_ip_leaves_quota_to_others(site: Site) -> None:
    loaded = 0
    for _ in range(1000):
        with suppress(LimitReached):
            site.pages.view(site.create(VISITOR), "")
            loaded += 1

    assert loaded == 30
    assert [site.first_form(site.create(f"198.51.100.{n}"), f"198.51.100.{n}") for n in range(40)] == [
        None
    ] * 40


def test_page_creation_without_an_ip_leaves_quota_to_others(site: Site) -> None:
    """Link previews create and load pages, too, but submit no form."""
    for _ in range(200):
        site.pages.view(site.create(), "")

    assert [site.first_form(site.create(), f"198.51.100.{n}") for n in range(40)] == [None] * 40


def test_opening_many_pages_from_one_ip_leaves_quota_to_others(site: Site) -> None:
    errors = [site.first_form(site.create(), VISITOR) for _ in range(50)]

    assert [error.limit for error in errors if isinstance(error, LimitReached)] == [
        "address_pages_per_10_minutes"
    ] * 20
    assert site.first_form(site.create(), NEIGHBOR) is None


def test_page_creation_without_an_ip_is_limited_too(site: Site) -> None:
    site.client = replace(site.client, pages_per_10_minutes=2)
    for _ in range(2 * CREATED_PER_OPENED):
        site.create()

    with pytest.raises(LimitReached) as full:
        site.create()
    assert full.value.limit == "client_new_pages_per_10_minutes"


def test_store_contains_no_ip_address(phone: Phone, site: Site) -> None:
    site.first_form(site.create(VISITOR), VISITOR)
    mine = list(phone.client.scan_iter(f"otp:pages:{{{site.client.id}}}*"))
    seen = b"".join(key + (phone.client.get(key) or b"") for key in mine)

    assert len(mine) == 4
    assert VISITOR.encode() not in seen
    assert all(0 < phone.client.pttl(key) <= 660_000 for key in mine)


def test_returned_wait_of_pages_is_exact(phone: Phone, pages: RedisPages) -> None:
    client = a_hash()
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


def test_page_rejection_counts_nothing(phone: Phone, pages: RedisPages) -> None:
    client = a_hash()
    admitted(pages, client, 100)
    phone.pass_time(661)

    assert admitted(pages, client, 100) == 3
