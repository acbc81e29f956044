"""Golden vectors: what the service signs, hashes, encrypts and writes to Redis, computed from fixed inputs.

`tests/data/golden.json` holds the results and `tests/test_golden_vectors.py` compares them byte for byte. A
value may change only together with a format number, or where everything that depends on it may be lost: a
running service shares Redis with the version that replaces it. To regenerate the file, run this in the root
of the repository:

    PYTHONPATH=.:tests python tests/support/golden.py

The file's `git diff` then shows which formats have changed.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import redis
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support import fakes, service_on_redis
from support.events import RecordingEvents
from support.recording_store import RecordingStore
from support.redis_servers import redis_binary, running

from otp_service.captcha.proof_of_work import ProofOfWork
from otp_service.domain import hosted_page
from otp_service.domain.address_probe import AddressProbe
from otp_service.domain.client_ip import normalize_client_ip
from otp_service.domain.clients import Clients, KeyKind, key_digest
from otp_service.domain.codes import CodeContext, CodeType, derive, digest
from otp_service.domain.crypto import Keyring, hmac_fields
from otp_service.domain.errors import ChallengeRequired, OtpError
from otp_service.domain.hosted_page import (
    ActiveVerification,
    FormError,
    HostedPage,
    PageEvent,
    PageQuota,
    Step,
)
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.limits import Budget, ConversionLimits, GlobalFailureLimits, IpLimits, PhoneLimits
from otp_service.domain.messages import InboundSms, MessageReference, SendResult, SendStatus
from otp_service.domain.phone import PhoneRules
from otp_service.domain.phone import parse as parse_phone
from otp_service.domain.proofs import SMS, TEST, ProofKeys, ProofSigner
from otp_service.domain.risk import (
    ChallengeSubject,
    ClientIpQuota,
    ConversionScope,
    PhoneKey,
    PrecheckRequest,
)
from otp_service.domain.verification import (
    CodeAttempt,
    DeliveryReport,
    DeliveryStatus,
    NewVerification,
    SendDisposition,
    SendResultRecord,
)
from otp_service.services import idempotency
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.services.hosted_pages import FormSubmission, HostedPages
from otp_service.services.idempotency import IdempotencyKey
from otp_service.settings.risk import IpLimitsConfig
from otp_service.sms.aliyun.reports import AliyunReportParser
from otp_service.sms.webhook import message_id
from otp_service.store import keys
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.pages import RedisPages
from otp_service.store.verifications import RedisStore
from otp_service.web.api.idempotency import read as read_idempotency_key

FILE = Path(__file__).parents[1] / "data" / "golden.json"

# ── the fixed inputs ──

NOW = service_on_redis.START
OLD_ROOT, ROOT, PSEUDONYM_KEY = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
KEYRING = Keyring({"2025b": OLD_ROOT, "k1": ROOT}, "k1", PSEUDONYM_KEY)
PHONE, OTHER_PHONE = "+8613800138000", "+8613900139000"
IPV4, IPV6 = "203.0.113.7", "2001:db8:1:2:3:4:5:6"
SEED, SALT = "AAECAwQFBgcICQoLDA0ODw", bytes(range(96, 112))
VERIFICATION_ID = KEYRING.verification_id(SEED)
VERIFICATION_HASH = KEYRING.verification_hash(VERIFICATION_ID)
PHONE_HASH, IP_HASH = KEYRING.phone_hash(PHONE), KEYRING.ip_hash(IPV4)
PAGE_ID, BROWSER_TOKEN = "p" * 32, "b" * 32
CLIENT, PURPOSE = "shop", "login"
DRAWN_NUMBER = 1_000

Vectors = dict[str, object]
"""The results of one section, by name."""


class FixedClock(fakes.FakeClock):
    """Shows NOW until it is advanced."""

    def __init__(self) -> None:
        super().__init__(NOW)


@contextmanager
def fixed_randomness() -> Iterator[None]:
    """Make every random byte 0x5a and every random number DRAWN_NUMBER, or the largest that is allowed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size: b"\x5a" * size)
        patch.setattr(secrets, "randbelow", lambda limit: min(DRAWN_NUMBER, limit - 1))
        yield


# ── keys and hashes ──


def sub_keys() -> Vectors:
    vectors = {}
    for kid, derived_keys in KEYRING.by_kid.items():
        vectors[f"{kid} code"] = derived_keys.code.hex()
        vectors[f"{kid} digest"] = derived_keys.digest.hex()
        vectors[f"{kid} out_id"] = derived_keys.message_reference.hex()
        vectors[f"{kid} risk"] = derived_keys.risk.hex()
        vectors[f"{kid} page"] = derived_keys.page.hex()
    return vectors | {
        f"tag key, {use}": KEYRING.pseudonym_key_for(use.encode()).hex() for use in ("any", "browser")
    }


def hashes() -> Vectors:
    return {
        "keyed hash of nothing": hmac_fields(ROOT, ()).hex(),
        "keyed hash of fields": hmac_fields(ROOT, (b"", b"one", "两".encode())).hex(),
        "phone tag": KEYRING.phone_hash(PHONE),
        "phone tag of another": KEYRING.phone_hash(OTHER_PHONE),
        "network of an IPv4 address": normalize_client_ip(IPV4),
        "network of an IPv6 address": normalize_client_ip(IPV6),
        "network of an IPv4 address in IPv6": normalize_client_ip(f"::ffff:{IPV4}"),
        "address tag": KEYRING.ip_hash(normalize_client_ip(IPV4)).hex(),
        "address tag, IPv6": KEYRING.ip_hash(normalize_client_ip(IPV6)).hex(),
        "prefix tag": KEYRING.prefix_hash("86 1380013"),
        "page tag": KEYRING.page_hash(PAGE_ID),
        "verification id": KEYRING.verification_id(SEED),
        "verification hash": KEYRING.verification_hash(VERIFICATION_ID),
        "digest of a secret API key": key_digest("sk_shop-0123456789"),
        "webhook id of a send": message_id("an out id"),
    }


def idempotency_records() -> Vectors:
    body = {"phone": PHONE, "purpose": PURPOSE, "b": 1, "a": "两"}
    key = read_idempotency_key("an-idempotency-key", body, KeyKind.SECRET)
    assert key is not None
    callers = {"server": idempotency.SERVER, "browser": idempotency.browser_at("an address tag")}
    vectors: Vectors = {"payload": key.payload.decode()}
    for name, caller in callers.items():
        for call in ("request", "verify", "redeem"):
            record = idempotency.record_for(
                KEYRING, CLIENT, key, caller=caller, call=call, deadline=6, result_id=SEED
            )
            vectors[f"{name}, {call}"] = {
                "tag": record.key_hash,
                "fingerprint": record.fingerprint.hex(),
                "what": record.result_id,
            }
    return vectors


def derived_codes() -> Vectors:
    vectors: Vectors = {}
    for kid, derived_keys in KEYRING.by_kid.items():
        for phone in (PHONE, OTHER_PHONE):
            context = CodeContext(VERIFICATION_ID, CLIENT, phone)
            for name, code_type in (("digits", CodeType.DIGITS), ("alnum6", CodeType.ALNUM)):
                for salt in (SALT, bytes(16)):
                    code = derive(derived_keys.code, salt, context, code_type)
                    vectors[f"{kid} {name} {phone} {salt.hex()}"] = {
                        "code": code.get_secret_value(),
                        "digest": digest(derived_keys.digest, context, code).hex(),
                    }
    return vectors


def out_ids() -> Vectors:
    references = [MessageReference(PHONE_HASH, VERIFICATION_HASH, number) for number in (1, 9, 200)]
    return {
        f"{kid} send {reference.number}": reference.encode(derived_keys.message_reference)
        for kid, derived_keys in KEYRING.by_kid.items()
        for reference in references
    }


def minted_proofs() -> Vectors:
    old, new = b"o" * 32, b"n" * 32
    phone = parse_phone(PHONE, PhoneRules())

    def mint(keys: tuple[bytes, ...], amr: str = SMS, at: int | None = None) -> dict[str, object]:
        signer = ProofSigner("https://otp.example", CLIENT, ProofKeys(keys), FixedClock().now)
        proof = signer.mint(
            phone=phone, purpose=PURPOSE, verification_id=VERIFICATION_ID, ttl=180, amr=(amr,), at=at
        )
        payload, _, signature = proof.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return {"proof": proof, "claims": claims, "signature": signature}

    return {
        "by one key": mint((old,)),
        "by the newest of two keys": mint((new, old)),
        "of a test phone": mint((old,), TEST),
        "of an earlier second": mint((old,), at=int(NOW) - 7),
    }


def risk_challenges() -> Vectors:
    with fixed_randomness():
        work = ProofOfWork(KEYRING, FixedClock(), ttl=600)
        return {
            f"level {level}": dict(work.issue(ChallengeSubject(CLIENT, PHONE_HASH), level))
            for level in (1, 2)
        } | {"ttl": work.ttl}


def address_probes() -> Vectors:
    probe = AddressProbe(KEYRING)
    return {"probe": probe.make("nonce", NOW), "address hash": probe.ip_hash("nonce", IPV4)}


@dataclass
class RecordingForwarder:
    """Records forwarded inbound SMS."""

    forwarded: list[InboundSms] = field(default_factory=list)

    def forward(self, sms: InboundSms, seconds: float) -> bool:
        self.forwarded.append(sms)
        return True


def inbound_sms_ids() -> Vectors:
    forwarder, clock = RecordingForwarder(), FixedClock()
    reports = DeliveryReportService(
        keyring=KEYRING,
        store=RecordingStore(clock),
        clock=clock,
        events=RecordingEvents(),
        parser=AliyunReportParser(),
        forwarder=forwarder,
    )
    inbound = {
        "phone_number": PHONE[3:],
        "content": "退订 TD",
        "dest_code": "10690000",
        "sequence_id": "17",
        "send_time": "2026-11-23 16:09:00",
        "sign_name": "云通信测试",
    }
    reports.process(json.dumps([inbound]).encode(), clock.monotonic() + 60)
    return {"id": forwarder.forwarded[0].id}


# ── hosted pages ──

NEW_PAGE = HostedPage(CLIENT, PURPOSE, "https://shop.example/done", "state", "zh-CN", NOW + 600)
FULL_PAGE = replace(
    NEW_PAGE,
    is_counted=True,
    browser_token_hash="browser tag",
    form_sequence=3,
    busy_until=NOW + 10,
    step=Step.CODE,
    phone=PHONE,
    verifications=2,
    active=ActiveVerification(VERIFICATION_ID, "+86 138****8000", "digits", NOW + 60, NOW + 300, PHONE),
    form_error=FormError("wrong_code", NOW + 30, 4),
    pending_action="resend",
    challenge={"algorithm": "SHA-256", "maxnumber": 50_000},
    proof="a proof",
    proof_ends_at=NOW + 180,
)
PAGES = {"new": NEW_PAGE, "with everything": FULL_PAGE}


def decrypt(encrypted: bytes, page_id: str) -> str:
    """Return the plain text of a stored page, decrypted without the code of the service."""
    header = b"\x02\x02k1"
    assert encrypted.startswith(header)
    key = hmac_fields(KEYRING.active.page, (b"page", page_id.encode()))
    nonce, ciphertext = encrypted[len(header) : len(header) + 12], encrypted[len(header) + 12 :]
    return AESGCM(key).decrypt(nonce, ciphertext, header).decode()


def hosted_pages() -> Vectors:
    nonce = bytes(range(12))
    older = Keyring({"2025b": OLD_ROOT}, "2025b", PSEUDONYM_KEY)
    vectors: Vectors = {
        name: hosted_page.encrypt_page(page, KEYRING, PAGE_ID, nonce).hex() for name, page in PAGES.items()
    }
    vectors["under an older root"] = hosted_page.encrypt_page(NEW_PAGE, older, PAGE_ID, nonce).hex()
    for name, page in PAGES.items():
        vectors[f"{name}, decrypted"] = decrypt(
            hosted_page.encrypt_page(page, KEYRING, PAGE_ID, nonce), PAGE_ID
        )
    vectors["browser tag"] = hosted_page.browser_token_hash(KEYRING, PAGE_ID, BROWSER_TOKEN)
    for sequence in (0, 12):
        vectors[f"form key of turn {sequence}"] = hosted_page.form_key(
            KEYRING, PAGE_ID, BROWSER_TOKEN, sequence
        )
    return vectors


# ── the names of keys in Redis ──

KEYS: dict[str, tuple[Callable[..., str], tuple[str | int, ...]]] = {
    # The name of the vector: the function that makes the key, and its arguments.
    "probe": (keys.probe, (7,)),
    "schema": (keys.schema, ()),
    "row of a phone": (keys.phone_state, (PHONE_HASH,)),
    "verification": (keys.verification, (PHONE_HASH, VERIFICATION_HASH)),
    "redeemed proof": (keys.redeemed, (PHONE_HASH, VERIFICATION_HASH)),
    "inquiry": (keys.lookup_lease, (PHONE_HASH, VERIFICATION_HASH, "status")),
    "address": (keys.ip_log, ("address-tag",)),
    "misses": (keys.ip_misses, ("address-tag",)),
    "guard": (keys.conversion_stats, ("country:CN",)),
    "solved challenge": (keys.used_challenge, (PHONE_HASH, "challenge")),
    "idempotency key": (keys.idempotency_record, ("claim-tag",)),
    "hosted page": (keys.page, ("page-tag",)),
    "hosted pages of a client": (keys.page_counts, (CLIENT, "created")),
    "hosted pages of an address": (keys.page_counts, (CLIENT, "created", "address-tag")),
    "wrong codes": (keys.global_failures, (20_780,)),
    "client without addresses": (keys.missing_client_ip, (CLIENT,)),
    "unreadable address": (keys.unreadable_ip, ()),
    "budget": (keys.budget, ("client:shop",)),
}


def key_names() -> Vectors:
    return {"prefix": keys.PREFIX} | {
        name: make_key(*arguments) for name, (make_key, arguments) in KEYS.items()
    }


# ── values in Redis ──


def escaped(value: bytes) -> str:
    """Return *value* with everything but printable ASCII as `\\xNN`."""
    return value.decode("latin-1").encode("unicode_escape").decode("ascii")


def stored_values(client: redis.Redis, pattern: str = "otp:*") -> Vectors:
    """Return each key that matches *pattern*, with its value."""
    matching = sorted(client.scan_iter(pattern, count=1000))
    return {key.decode(): escaped(client.get(key) or b"") for key in matching}


class GoldenStores:
    """The store, usage counters and pages on an empty server, with a clock that only the caller moves."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushall()
        self.client = client
        self.clock = FixedClock()
        events = RecordingEvents()
        self.runner = service_on_redis.SettableClockRunner(client)
        self.store = RedisStore(client, events)
        self.store.redis.scripts = self.runner
        self.pages = RedisPages(self.store.redis)
        self.usage_counters = RedisUsageCounters(
            self.store.redis.run_scripts, limits=GlobalFailureLimits(), clock=self.clock, events=events
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.runner.set(self.clock.time)

    def values(self, pattern: str = "otp:*") -> Vectors:
        return stored_values(self.client, pattern)


RIGHT, WRONG = b"r" * 16, b"w" * 16
ALL_CODE_TYPES = frozenset({CodeType.DIGITS, CodeType.ALNUM})
BUDGETS = {Budget("client:shop", "client_sms_per_day", 10, 0.2): 8, Budget("service", "any", 100, 0.2): 80}
LIMITS = PhoneLimits(untrusted_send_ratio=1, untrusted_failure_ratio=1)


@dataclass
class PhoneScenario:
    """A sequence of calls about one phone; each new verification takes the next of *hashes*."""

    stores: GoldenStores
    phone_key: PhoneKey
    hashes: Iterator[str] = field(default_factory=lambda: (letter * 7 + "-the-rest" for letter in "abcdefgh"))

    def open(self, code_type: CodeType = CodeType.DIGITS, **changes: object) -> str:
        """Create a verification whose SMS has no known outcome yet, and return its hash."""
        vid = next(self.hashes)
        new = NewVerification(
            vid, CLIENT, PURPOSE, code_type, "k1", SALT, RIGHT, ttl=300, attempts=5, sends=4
        )
        self.stores.store.create(self.phone_key, replace(new, **changes), {})
        return vid

    def record_result(self, vid: str, disposition: SendDisposition, number: int = 1, **facts: object) -> None:
        record = SendResultRecord(vid, number, disposition, "main", ttl=300, taken_at=self.stores.clock.time)
        self.stores.store.record_send_result(self.phone_key, CLIENT, replace(record, **facts), ())

    def open_and_send(self, **changes: object) -> str:
        """Create a verification whose SMS the provider accepts, and return its hash."""
        vid = self.open(**changes)
        self.record_result(vid, SendDisposition.ACCEPTED, provider_code="OK")
        return vid

    def submit(self, vid: str, *digests: bytes, fingerprint: bytes = b"") -> None:
        """Submit codes with these digests; only WRONG may be rejected."""
        for submitted in digests:
            attempt = CodeAttempt(
                {"k1": submitted},
                ALL_CODE_TYPES,
                at=int(self.stores.clock.time),
                idempotency_fingerprint=fingerprint,
            )
            try:
                self.stores.store.attempt(self.phone_key, CLIENT, vid, attempt)
            except OtpError:
                assert submitted == WRONG


def verifications(client: redis.Redis) -> Vectors:
    """The life of one verification with a resend, until its proof is used."""
    stores, vectors = GoldenStores(client), {}
    phone_key = PhoneKey(PHONE_HASH, LIMITS, ip_hash=IP_HASH)
    new = NewVerification(
        VERIFICATION_HASH, CLIENT, PURPOSE, CodeType.DIGITS, "k1", SALT, RIGHT, ttl=300, attempts=5, sends=4
    )
    scenario = PhoneScenario(stores, phone_key)
    stores.store.create(phone_key, new, BUDGETS)
    vectors["opened"] = stores.values()
    stores.pass_time(1.25)
    scenario.record_result(VERIFICATION_HASH, SendDisposition.ACCEPTED, provider_code="OK")
    vectors["accepted"] = stores.values()
    stores.pass_time(30)
    scenario.submit(VERIFICATION_HASH, WRONG)
    vectors["wrong code"] = stores.values()
    stores.pass_time(60)
    stores.store.reserve_resend(phone_key, CLIENT, VERIFICATION_HASH, 300, BUDGETS)
    scenario.record_result(VERIFICATION_HASH, SendDisposition.UNKNOWN, 2, route="backup")
    vectors["resent with unknown outcome"] = stores.values()
    stores.store.apply_delivery_reports(
        [DeliveryReport(PHONE_HASH, VERIFICATION_HASH, 1, DeliveryStatus.DELIVERED, "DELIVERED")]
    )
    stores.store.apply_delivery_reports(
        [DeliveryReport(PHONE_HASH, VERIFICATION_HASH, 2, DeliveryStatus.UNDELIVERED, "UNDELIV")]
    )
    vectors["reported"] = stores.values()
    stores.pass_time(2)
    scenario.submit(VERIFICATION_HASH, RIGHT, fingerprint=b"c" * 16)
    vectors["approved"] = stores.values()
    stores.store.redeem(PHONE_HASH, VERIFICATION_HASH, 780, b"d" * 16)
    stores.store.redeem(PHONE_HASH, "another", 780)
    vectors["redeemed"] = stores.values()
    return vectors


def ends_of_verifications(client: redis.Redis) -> Vectors:
    stores, vectors = GoldenStores(client), {}

    def phone(name: str, **facts: object) -> PhoneScenario:
        return PhoneScenario(stores, replace(PhoneKey(name.ljust(16, "-"), LIMITS, IP_HASH), **facts))

    phone("expects-letters").open(CodeType.ALNUM)
    canceled = phone("canceled")
    stores.store.cancel(canceled.phone_key, CLIENT, canceled.open_and_send())
    exhausted = phone("exhausted")
    exhausted.submit(exhausted.open_and_send(), *[WRONG] * 5)
    known = phone("known-device", known_device=True)
    known.submit(known.open_and_send(), WRONG, WRONG)
    without_ip = phone("nobody", ip_hash=b"")
    without_ip.submit(without_ip.open_and_send(), RIGHT)
    for disposition in (
        SendDisposition.NOT_SENT,
        SendDisposition.RECIPIENT_REJECTED,
        SendDisposition.RATE_LIMITED,
    ):
        scenario = phone(disposition.value)
        vid = scenario.open()
        stores.pass_time(1)
        scenario.record_result(vid, disposition, provider_code="isv.SOME_CODE", wait=3_600)
    withdrawn = phone("without-a-route")
    withdrawn.record_result(withdrawn.open(), SendDisposition.NOT_SENT, route="")
    vectors["ended"] = stores.values()
    stores.store.unlock(exhausted.phone_key.phone_hash)
    vectors["unlocked"] = stores.values(keys.phone_state(exhausted.phone_key.phone_hash))
    return vectors


def restricted_mode(client: redis.Redis) -> Vectors:
    """A phone in restricted mode: one send for trusted calls, and one for other calls of each client."""
    stores = GoldenStores(client)
    scenario = PhoneScenario(
        stores, PhoneKey(PHONE_HASH, replace(LIMITS, restrict_after_failures=2, cooldown=(1,)), IP_HASH)
    )
    scenario.submit(scenario.open_and_send(), WRONG, WRONG)
    stores.pass_time(400)
    scenario.submit(scenario.open_and_send(), WRONG)
    scenario.phone_key = replace(scenario.phone_key, known_device=True)
    stores.pass_time(60)
    scenario.open_and_send()
    return stores.values()


def first_phone_state_format(client: redis.Redis) -> Vectors:
    """A phone state in the first format, and how the current version writes it back."""
    stores = GoldenStores(client)
    before = int(NOW * 1000) - 60_000
    counts = bytes([3]) + (int(NOW) - 90).to_bytes(4, "big") + bytes(4) + bytes(6) + bytes([1, 1, 0])
    send = before.to_bytes(6, "big") + IP_HASH + VERIFICATION_HASH[:7].encode() + b"\1"
    client.set(keys.phone_state(PHONE_HASH), b"\1" + counts + send + (before + 1_000).to_bytes(6, "big"))
    vectors: Vectors = {"before": stores.values()}
    PhoneScenario(stores, PhoneKey(PHONE_HASH, LIMITS, IP_HASH)).open()
    return vectors | {"after": stores.values(keys.phone_state(PHONE_HASH))}


def addresses(client: redis.Redis) -> Vectors:
    stores, vectors = GoldenStores(client), {}
    address = ClientIpQuota("address-tag", IpLimits())
    for phone_hash in (PHONE_HASH, "other-phone-tag-", "third-phone-tag-"):
        stores.store.precheck(
            PhoneKey(phone_hash, LIMITS, IP_HASH), CLIENT, 5, PrecheckRequest(ip_quota=address)
        )
        stores.pass_time(1.5)
    vectors["sent"] = stores.values()
    stores.usage_counters.record_approval(PHONE_HASH, 0, address, ())
    stores.usage_counters.write()
    stores.pass_time(2 * 3_600)
    stores.usage_counters.record_approval("other-phone-tag-", 0, address, ())
    stores.usage_counters.record_miss(address)
    stores.usage_counters.write()
    stores.pass_time(125)
    stores.usage_counters.record_miss(address)
    stores.usage_counters.record_miss(address)
    stores.usage_counters.write()
    vectors["verified, and misses"] = stores.values("otp:[am]*")
    return vectors


def guards(client: redis.Redis) -> Vectors:
    stores, vectors = GoldenStores(client), {}
    limits = ConversionLimits(
        min_unverified=4, max_unverified_ratio=0.5, block_multiplier=3, strict_ratio=0.25
    )
    scopes = (
        ConversionScope("country", "country:CN", limits, is_broad=True),
        ConversionScope("client", "client:shop", limits, is_broad=True),
        ConversionScope("prefix", "prefix:prefix-tag", limits),
    )

    def send(count: int) -> None:
        for _ in range(count):
            stores.store.precheck(
                PhoneKey(PHONE_HASH, LIMITS), CLIENT, 5, PrecheckRequest(conversion_scopes=scopes)
            )
            stores.usage_counters.record_send(scopes, is_counted=True)
        stores.usage_counters.write()

    send(1)
    vectors["suspect"] = stores.values("otp:guard:*")
    stores.pass_time(70)
    stores.usage_counters.record_approval(PHONE_HASH, 0, None, scopes)
    stores.usage_counters.write()
    vectors["calm, since it was verified"] = stores.values("otp:guard:*")
    stores.pass_time(3_700)
    send(4)
    vectors["suspect in the next hour"] = stores.values("otp:guard:*")
    stores.pass_time(300)
    send(6)
    vectors["tripped"] = stores.values("otp:guard:*")
    return vectors


def other_values(client: redis.Redis) -> Vectors:
    stores, vectors = GoldenStores(client), {}
    running, ended = (IdempotencyRecord(name, bytes(range(16)), SEED) for name in ("running", "ended"))
    stores.store.begin_idempotent(running)
    stores.store.begin_idempotent(ended)
    stores.store.finish_idempotent(ended, VERIFICATION_HASH)
    vectors["idempotency"] = stores.values("otp:claim:*")
    for _ in range(3):
        stores.usage_counters.record_failure()
    stores.usage_counters.record_approval(PHONE_HASH, 1, None, ())
    stores.usage_counters.write()
    vectors["wrong codes"] = stores.values("otp:wrong_codes:*")
    stores.store.mark_missing_client_ip(CLIENT)
    stores.store.mark_unreadable_client_ip()
    vectors["hints"] = stores.values("otp:una*") | stores.values("otp:unr*")
    stores.store.precheck(
        PhoneKey(PHONE_HASH, LIMITS),
        CLIENT,
        5,
        PrecheckRequest(solved_challenge_id="challenge", solution_ttl=660),
    )
    vectors["solved challenge"] = stores.values("otp:*:solved:*")
    stores.store.acquire_lookup_lease(PHONE_HASH, VERIFICATION_HASH, "status")
    vectors["inquiry"] = stores.values("otp:*:status")
    stores.pages.create("page-tag", b"sealed", 600)
    vectors["page"] = stores.values("otp:page:*")
    stores.pages.compare_and_set("page-tag", 0, b"sealed again")
    vectors["page, written again"] = stores.values("otp:page:*")
    for event in (PageEvent.CREATED, PageEvent.OPENED):
        stores.pages.check_rate(event, CLIENT, PageQuota(10, 5), "address-tag")
        stores.pass_time(61)
        stores.pages.check_rate(event, CLIENT, PageQuota(10, 5), "")
    vectors["pages of a client"] = stores.values("otp:pages:*")
    return vectors


# ── the whole service ──


def service_and_store(client: redis.Redis) -> Vectors:
    """Everything that a request, a wrong code, the right code and a redemption write."""
    client.flushall()
    vectors: Vectors = {}
    with fixed_randomness():
        simulation = service_on_redis.build(client, service_on_redis.enforcing_risk_policy(), KEYRING)
        service, key = simulation.service, IdempotencyKey("an-idempotency-key", b'{"a":1}')
        sent = service.request(
            service_on_redis.MALL, PHONE, purpose=PURPOSE, client_ip=IPV6, idempotency_key=key
        )
        sms = simulation.sender.sent[-1]
        vectors["SMS"] = {"code": sms.code.get_secret_value(), "out id": sms.reference}
        vectors["verification id"] = sent.verification_id
        vectors["requested"] = stored_values(client)
        wrong = "000000" if sms.code.get_secret_value() != "000000" else "000001"
        simulation.pass_time(5)
        for code in (wrong, sms.code.get_secret_value()):
            try:
                approved = service.verify(
                    service_on_redis.MALL,
                    PHONE,
                    sent.verification_id,
                    code,
                    client_ip=IPV6,
                    idempotency_key=key,
                )
            except OtpError as error:
                vectors["first code"] = error.code
        simulation.pass_time(5)
        vectors["proof"] = approved.proof
        vectors["verified"] = stored_values(client)
        service.redeem(service_on_redis.MALL, approved.proof, purpose=PURPOSE, idempotency_key=key)
        vectors["redeemed"] = stored_values(client, "otp:claim:*") | stored_values(client, "otp:*:redeemed")
    return vectors


def lookup_and_challenge(client: redis.Redis) -> Vectors:
    """A browser's request with unknown outcome, the calls that look it up, and a risk challenge."""
    client.flushall()
    risk = replace(
        service_on_redis.enforcing_risk_policy(),
        ip_limits=IpLimits(**IpLimitsConfig(sends_per_hour=1).model_dump()),
    )
    vectors: Vectors = {}
    with fixed_randomness():
        simulation = service_on_redis.build(client, risk, KEYRING)
        simulation.sender.outcome = SendResult(SendStatus.UNKNOWN, route="main")
        service, key = simulation.service, IdempotencyKey("an-idempotency-key", b'{"a":1}')
        sent = service.request(
            service_on_redis.MALL,
            PHONE,
            purpose=PURPOSE,
            client_ip=IPV4,
            is_public=True,
            idempotency_key=key,
        )
        vectors["claim of a browser"] = stored_values(client, "otp:claim:*")
        service.status(service_on_redis.MALL, PHONE, sent.verification_id)
        vectors["asked by status"] = stored_values(client, "otp:*:status")
        simulation.pass_time(61)
        resend_key = IdempotencyKey("the key of a resend", b'{"a":2}')
        service.resend(service_on_redis.MALL, PHONE, sent.verification_id, idempotency_key=resend_key)
        vectors["asked by a resend"] = stored_values(client, "otp:*:resend")
        vectors["claims with that of the resend"] = stored_values(client, "otp:claim:*")
        try:
            service.request(service_on_redis.MALL, OTHER_PHONE, purpose=PURPOSE, client_ip=IPV4)
        except ChallengeRequired:
            subject, level = simulation.challenges.issued[-1]
            vectors["challenge"] = {"client": subject.client, "phone": subject.phone_hash, "level": level}
        service.request(
            service_on_redis.MALL,
            OTHER_PHONE,
            purpose=PURPOSE,
            client_ip=IPV4,
            risk_solution="1:challenge-id",
        )
        vectors["solved"] = stored_values(client, "otp:*:solved:*")
    return vectors


def page_in_the_store(client: redis.Redis) -> Vectors:
    """A hosted page from its creation to the SMS, decrypted, after the format and version of each value."""

    def decrypted_values() -> Vectors:
        values = {key.decode(): client.get(key) or b"" for key in client.scan_iter("otp:page:*", count=1000)}
        return {key: f"{value[:5].hex()} {decrypt(value[5:], page.page_id)}" for key, value in values.items()}

    client.flushall()
    vectors: Vectors = {}
    site = replace(service_on_redis.MALL, return_urls=frozenset({fakes.RETURN_URL}))
    with fixed_randomness():
        simulation = service_on_redis.build(client, service_on_redis.enforcing_risk_policy(), KEYRING)
        store = RedisStore(client, simulation.events)
        store.redis.scripts = simulation.runner
        pages = HostedPages(
            service=simulation.service,
            clients=Clients([site]),
            store=RedisPages(store.redis),
            keyring=KEYRING,
            clock=simulation.clock,
            deadline=6,
            draw=secrets.token_bytes,
        )
        page = pages.create(
            site, purpose=PURPOSE, return_url=fakes.RETURN_URL, state="state", locale="en", client_ip=IPV4
        )
        vectors["page id"] = page.page_id
        vectors["created"] = decrypted_values() | stored_values(client, "otp:pages:*")
        view = pages.view(page.page_id, "")
        vectors["browser"], vectors["form key"] = view.browser_token, view.form_key
        pages.submit(
            page.page_id, view.browser_token, FormSubmission(view.form_key, "phone", phone=PHONE), IPV4
        )
        vectors["phone given"] = decrypted_values() | stored_values(client, "otp:pages:*")
    return vectors


# ── all sections ──

COMPUTED: dict[str, Callable[[], Vectors]] = {
    "sub-keys": sub_keys,
    "hashes": hashes,
    "idempotency": idempotency_records,
    "codes": derived_codes,
    "out ids": out_ids,
    "proofs": minted_proofs,
    "risk challenges": risk_challenges,
    "address probes": address_probes,
    "replies of phones": inbound_sms_ids,
    "hosted pages": hosted_pages,
    "key names": key_names,
}
STORED: dict[str, Callable[[redis.Redis], Vectors]] = {
    "verification": verifications,
    "ends of verifications": ends_of_verifications,
    "slow lane": restricted_mode,
    "row of the first format": first_phone_state_format,
    "addresses": addresses,
    "guards": guards,
    "other values": other_values,
    "the whole service": service_and_store,
    "inquiry and challenge": lookup_and_challenge,
    "page in the store": page_in_the_store,
}


def write() -> None:
    """Write the file with what the current sources produce."""
    vectors = {name: compute() for name, compute in COMPUTED.items()}
    with running(redis_binary()) as server, server.client() as client:
        vectors |= {name: run(client) for name, run in STORED.items()}
    FILE.write_text(json.dumps(vectors, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(vectors)} sections\n")


if __name__ == "__main__":
    write()
