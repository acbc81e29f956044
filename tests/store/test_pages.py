"""Hosted pages in the store, on the fake and on both real servers: written by one, and counted."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress

import pytest
from stories import Phone

from otp_service.errors import LimitReached, StoreUnavailable
from otp_service.store import keys
from otp_service.store.pages import RedisPages


@pytest.fixture
def pages(phone: Phone) -> RedisPages:
    return RedisPages(phone.store)


def a_tag() -> str:
    return secrets.token_urlsafe(12)


def admitted(pages: RedisPages, client: str, times: int, limit: int = 3) -> int:
    count = 0
    for _ in range(times):
        with suppress(LimitReached):
            pages.admit(client, limit)
            count += 1
    return count


def test_page_is_kept_until_its_end(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.put(tag, b"sealed\x00\xff", 600)
    kept = pages.get(tag)

    assert kept is not None
    assert (kept.version, kept.sealed) == (0, b"sealed\x00\xff")
    assert 0 < phone.client.pttl(keys.page(tag)) <= 600_000
    assert pages.get(a_tag()) is None


def test_page_is_never_written_over_by_a_new_one(pages: RedisPages) -> None:
    tag = a_tag()
    pages.put(tag, b"first", 600)
    pages.put(tag, b"second", 600)

    kept = pages.get(tag)
    assert kept is not None
    assert kept.sealed == b"first"


def test_who_has_read_the_newest_writes(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.put(tag, b"first", 600)
    phone.client.pexpire(keys.page(tag), 300_000)

    assert pages.swap(tag, 0, b"second")
    assert not pages.swap(tag, 0, b"stale")
    assert pages.swap(tag, 1, b"third")
    kept = pages.get(tag)
    assert kept is not None
    assert (kept.version, kept.sealed) == (2, b"third")
    assert 0 < phone.client.pttl(keys.page(tag)) <= 300_000


def test_page_that_is_gone_does_not_come_back(phone: Phone, pages: RedisPages) -> None:
    tag = a_tag()
    pages.put(tag, b"first", 600)
    phone.client.delete(keys.page(tag))

    assert not pages.swap(tag, 0, b"second")
    assert pages.get(tag) is None


def test_of_many_that_write_at_once_one_does(pages: RedisPages) -> None:
    tag = a_tag()
    pages.put(tag, b"first", 600)
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda n=n: won.append(pages.swap(tag, 0, b"%d" % n))) for n in range(20)
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
        pages.get(tag)
    with pytest.raises(StoreUnavailable):
        pages.swap(tag, 0, b"older")
    assert phone.client.get(keys.page(tag)) == b"\x02newer"


def test_client_makes_so_many_pages_in_ten_minutes(phone: Phone, pages: RedisPages) -> None:
    client = a_tag()

    assert admitted(pages, client, 10) == 3
    assert admitted(pages, a_tag(), 10) == 3
    assert 600_000 < phone.client.pttl(keys.pages(client)) <= 660_000


def test_wait_that_is_told_is_true(phone: Phone, pages: RedisPages) -> None:
    client = a_tag()
    admitted(pages, client, 3)
    phone.pass_time(200)
    with pytest.raises(LimitReached) as full:
        pages.admit(client, 3)
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
