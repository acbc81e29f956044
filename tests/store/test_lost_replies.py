"""A lost reply executes nothing twice, in every topology."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from support.lossy_proxy import LossyProxy
from support.phone_in_store import LIMITS, WRONG, Phone, make_phone, new_verification
from support.redis_clusters import running_cluster
from support.redis_sentinels import running_sentinels
from support.redis_servers import redis_binary, running, valkey_binary
from support.store_backends import LONG_TIMEOUTS

from otp_service.domain.errors import CooldownActive, StoreUnavailable, WrongCode
from otp_service.domain.limits import Budget
from otp_service.store.admin import AdminStore
from otp_service.store.client import from_url


@pytest.fixture(params=["redis", "valkey", "sentinel", "cluster"])
def phone_and_proxy(request: pytest.FixtureRequest) -> Iterator[tuple[Phone, LossyProxy]]:
    """A phone in a store behind a proxy. Sentinels and cluster nodes announce the address of the proxy."""
    with ExitStack() as stack:
        proxy = stack.enter_context(LossyProxy())
        if request.param == "cluster":
            announced = "--cluster-announce-port", str(proxy.port)
            server = stack.enter_context(running_cluster(redis_binary(), 1, 0, *announced)).masters[0]
            url = f"redis+cluster://127.0.0.1:{proxy.forward_to(server.port)}"
        elif request.param == "sentinel":
            setup = stack.enter_context(running_sentinels(redis_binary(), 0, 1, announce=proxy.forward_to))
            server, url = setup.master, setup.url()
        else:
            binary = redis_binary() if request.param == "redis" else valkey_binary()
            server = stack.enter_context(running(binary))
            url = f"redis://127.0.0.1:{proxy.forward_to(server.port)}/0"
        client = stack.enter_context(server.client())
        yield make_phone(client, servers=from_url(url, LONG_TIMEOUTS)), proxy


def test_lost_reply_executes_nothing_twice(phone_and_proxy: tuple[Phone, LossyProxy]) -> None:
    phone, proxy = phone_and_proxy
    budget = Budget(f"client:{secrets.token_hex(4)}", "client_sms_per_day", 9, 0.2)
    verification = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)
    phone.pass_time(60)
    warm_up(phone)

    proxy.lose_next_reply()
    with pytest.raises(StoreUnavailable):
        phone.submit(verification, WRONG)
    proxy.lose_next_reply()
    with pytest.raises(StoreUnavailable):
        phone.store.create(phone.phone_key, new_verification(), {budget: 9})

    assert proxy.lost == 2
    assert phone.read(verification).attempts_left == 3
    assert len(AdminStore(phone.store.redis).phone_usage(phone.phone_key.phone_hash, LIMITS, 5).sends) == 2
    assert phone.client.get(f"otp:budget:{{sms}}:{budget.scope}").split()[1] == b"1"  # type: ignore[union-attr]


def warm_up(phone: Phone) -> None:
    """Load the scripts, whose clock was just moved: the first call of each only loads it."""
    other = replace(phone, phone_key=replace(phone.phone_key, phone_hash=secrets.token_urlsafe(12)))
    with pytest.raises(WrongCode):
        other.submit(other.open(), WRONG)
    budget = Budget("client:other", "client_sms_per_day", 9, 0.2)
    with pytest.raises(CooldownActive):
        other.store.create(other.phone_key, new_verification(), {budget: 9})
