"""Golden vectors: what the service signs, hashes, encrypts and writes to Redis, computed from fixed inputs.

`tests/data/golden.json` holds the results and `tests/test_golden_vectors.py` compares them byte for byte. A
value may change only together with a format number, or where everything that depends on it may be lost: a
running service shares Redis with the version that replaces it. To write the file anew, from the root of the
repository:

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
from otp_service.services import idempotency as repeats
from otp_service.services.delivery_reports import DeliveryReportService
from otp_service.services.hosted_pages import FormSubmission, HostedPages
from otp_service.settings.risk import IpLimitsConfig
from otp_service.sms.aliyun.reports import AliyunReportParser
from otp_service.sms.webhook import message_id
from otp_service.store import keys
from otp_service.store.counters import RedisUsageCounters
from otp_service.store.pages import RedisPages
from otp_service.store.verifications import RedisStore
from otp_service.web.api.idempotency import read as read_repeat

FILE = Path(__file__).parents[1] / "data" / "golden.json"

# ── the fixed inputs ──

NOW = service_on_redis.START
OLD_ROOT, ROOT, PSEUDONYM_KEY = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
KEYRING = Keyring({"2025b": OLD_ROOT, "k1": ROOT}, "k1", PSEUDONYM_KEY)
PHONE, OTHER_PHONE = "+8613800138000", "+8613900139000"
IPV4, IPV6 = "203.0.113.7", "2001:db8:1:2:3:4:5:6"
SEED, SALT = "AAECAwQFBgcICQoLDA0ODw", bytes(range(96, 112))
VERIFICATION_ID = KEYRING.verification_id(SEED)
VERIFICATION = KEYRING.verification_hash(VERIFICATION_ID)
PHONE_HASH, ADDRESS = KEYRING.phone_hash(PHONE), KEYRING.ip_hash(IPV4)
PAGE_ID, BROWSER = "p" * 32, "b" * 32
CLIENT, PURPOSE = "shop", "login"
DRAWN_NUMBER = 1_000

Steps = dict[str, object]


class FixedClock(fakes.FakeClock):
    """Stands at NOW until it is moved."""

    def __init__(self) -> None:
        super().__init__(NOW)


@contextmanager
def fixed_randomness() -> Iterator[None]:
    """Make every random byte 0x5a, however many are drawn at a time, and every random number the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size: b"\x5a" * size)
        patch.setattr(secrets, "randbelow", lambda limit: min(DRAWN_NUMBER, limit - 1))
        yield


# ── keys and hashes ──


def sub_keys() -> Steps:
    made = {}
    for kid, of_root in KEYRING.by_kid.items():
        made[f"{kid} code"] = of_root.code.hex()
        made[f"{kid} digest"] = of_root.digest.hex()
        made[f"{kid} out_id"] = of_root.message_reference.hex()
        made[f"{kid} risk"] = of_root.risk.hex()
        made[f"{kid} page"] = of_root.page.hex()
    return made | {
        f"tag key, {use}": KEYRING.pseudonym_key_for(use.encode()).hex() for use in ("any", "browser")
    }


def hashes() -> Steps:
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


def idempotency() -> Steps:
    body = {"phone": PHONE, "purpose": PURPOSE, "b": 1, "a": "两"}
    repeat = read_repeat("an-idempotency-key", body, KeyKind.SECRET)
    assert repeat is not None
    made: Steps = {"payload": repeat.payload.decode()}
    for name, caller in (("server", repeats.SERVER), ("browser", repeats.browser_at("an address tag"))):
        for call in ("request", "verify", "redeem"):
            claim = repeats.record_for(KEYRING, CLIENT, repeat, caller=caller, call=call, result_id=SEED)
            made[f"{name}, {call}"] = {
                "tag": claim.key_hash,
                "fingerprint": claim.fingerprint.hex(),
                "what": claim.result_id,
            }
    return made


def derived_codes() -> Steps:
    made: Steps = {}
    for kid, of_root in KEYRING.by_kid.items():
        for phone in (PHONE, OTHER_PHONE):
            binding = CodeContext(VERIFICATION_ID, CLIENT, phone)
            for name, kind in (("digits", CodeType.DIGITS), ("alnum6", CodeType.ALNUM)):
                for salt in (SALT, bytes(16)):
                    code = derive(of_root.code, salt, binding, kind)
                    made[f"{kid} {name} {phone} {salt.hex()}"] = {
                        "code": code.get_secret_value(),
                        "digest": digest(of_root.digest, binding, code).hex(),
                    }
    return made


def out_ids() -> Steps:
    sends = [MessageReference(PHONE_HASH, VERIFICATION, number) for number in (1, 9, 200)]
    return {
        f"{kid} send {out_id.number}": out_id.encode(of_root.message_reference)
        for kid, of_root in KEYRING.by_kid.items()
        for out_id in sends
    }


def minted_proofs() -> Steps:
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


def risk_challenges() -> Steps:
    with fixed_randomness():
        work = ProofOfWork(KEYRING, FixedClock(), ttl=600)
        return {
            f"level {level}": dict(work.issue(ChallengeSubject(CLIENT, PHONE_HASH), level))
            for level in (1, 2)
        } | {"ttl": work.ttl}


def address_probes() -> Steps:
    probe = AddressProbe(KEYRING)
    return {"probe": probe.make("nonce", NOW), "address hash": probe.ip_hash("nonce", IPV4)}


@dataclass
class Replies:
    """Records forwarded inbound SMS."""

    seen: list[InboundSms] = field(default_factory=list)

    def forward(self, sms: InboundSms, seconds: float) -> bool:
        self.seen.append(sms)
        return True


def replies_of_phones() -> Steps:
    replies, clock = Replies(), FixedClock()
    reports = DeliveryReportService(
        keyring=KEYRING,
        store=RecordingStore(clock),
        clock=clock,
        events=RecordingEvents(),
        parser=AliyunReportParser(),
        forwarder=replies,
    )
    reply = {
        "phone_number": PHONE[3:],
        "content": "退订 TD",
        "dest_code": "10690000",
        "sequence_id": "17",
        "send_time": "2026-11-23 16:09:00",
        "sign_name": "云通信测试",
    }
    reports.process(json.dumps([reply]).encode(), clock.monotonic() + 60)
    return {"id": replies.seen[0].id}


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


def decrypted(sealed: bytes, page_id: str) -> str:
    """Return what *sealed* says, decrypted here and not by the service."""
    head = b"\x02\x02k1"
    assert sealed.startswith(head)
    key = hmac_fields(KEYRING.active.page, (b"page", page_id.encode()))
    nonce, ciphertext = sealed[len(head) : len(head) + 12], sealed[len(head) + 12 :]
    return AESGCM(key).decrypt(nonce, ciphertext, head).decode()


def hosted_pages() -> Steps:
    nonce = bytes(range(12))
    older = Keyring({"2025b": OLD_ROOT}, "2025b", PSEUDONYM_KEY)
    made: Steps = {
        name: hosted_page.encrypt_page(page, KEYRING, PAGE_ID, nonce).hex() for name, page in PAGES.items()
    }
    made["under an older root"] = hosted_page.encrypt_page(NEW_PAGE, older, PAGE_ID, nonce).hex()
    for name, page in PAGES.items():
        made[f"{name}, decrypted"] = decrypted(
            hosted_page.encrypt_page(page, KEYRING, PAGE_ID, nonce), PAGE_ID
        )
    made["browser tag"] = hosted_page.browser_token_hash(KEYRING, PAGE_ID, BROWSER)
    for turn in (0, 12):
        made[f"form key of turn {turn}"] = hosted_page.form_key(KEYRING, PAGE_ID, BROWSER, turn)
    return made


# ── the names of keys in Redis ──

KEYS: dict[str, tuple[Callable[..., str], tuple[str | int, ...]]] = {
    "probe": (keys.probe, (7,)),
    "schema": (keys.schema, ()),
    "row of a phone": (keys.phone_state, (PHONE_HASH,)),
    "verification": (keys.verification, (PHONE_HASH, VERIFICATION)),
    "redeemed proof": (keys.redeemed, (PHONE_HASH, VERIFICATION)),
    "inquiry": (keys.lookup_lease, (PHONE_HASH, VERIFICATION, "status")),
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


def key_names() -> Steps:
    return {"prefix": keys.PREFIX} | {name: make(*given) for name, (make, given) in KEYS.items()}


# ── values in Redis ──


def escaped(value: bytes) -> str:
    """Return *value* with everything but printable ASCII as `\\xNN`."""
    return value.decode("latin-1").encode("unicode_escape").decode("ascii")


def written(client: redis.Redis, pattern: str = "otp:*") -> Steps:
    """Return every key of the service and its value."""
    found = sorted(client.scan_iter(pattern, count=1000))
    return {key.decode(): escaped(client.get(key) or b"") for key in found}


class Ground:
    """The store, usage counters and pages on an empty server, with a clock that only a story moves."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushall()
        self.client = client
        self.clock = FixedClock()
        events = RecordingEvents()
        self.runner = service_on_redis.StagedRunner(client)
        self.store = RedisStore(client, events)
        self.store.redis.scripts = self.runner
        self.pages = RedisPages(self.store.redis)
        self.usage_counters = RedisUsageCounters(
            self.store.redis.run_scripts, limits=GlobalFailureLimits(), clock=self.clock, events=events
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.runner.set(self.clock.time)

    def written(self, pattern: str = "otp:*") -> Steps:
        return written(self.client, pattern)


RIGHT, WRONG = b"r" * 16, b"w" * 16
ALL_SHAPES = frozenset({CodeType.DIGITS, CodeType.ALNUM})
BUDGETS = {Budget("client:shop", "client_sms_per_day", 10, 0.2): 8, Budget("service", "any", 100, 0.2): 80}
LIMITS = PhoneLimits(untrusted_send_ratio=1, untrusted_failure_ratio=1)


@dataclass
class PhoneStory:
    """What happens to one phone; each of its verifications takes the next of the made-up *hashes*."""

    ground: Ground
    phone_key: PhoneKey
    hashes: Iterator[str] = field(default_factory=lambda: (letter * 7 + "-the-rest" for letter in "abcdefgh"))

    def open(self, code_type: CodeType = CodeType.DIGITS, **changes: object) -> str:
        """Open a verification whose SMS has no known outcome yet."""
        of = next(self.hashes)
        new = NewVerification(of, CLIENT, PURPOSE, code_type, "k1", SALT, RIGHT, ttl=300, attempts=5, sends=4)
        self.ground.store.create(self.phone_key, replace(new, **changes), {})
        return of

    def record_result(self, of: str, how: SendDisposition, number: int = 1, **facts: object) -> None:
        record = SendResultRecord(of, number, how, "main", ttl=300, taken_at=self.ground.clock.time)
        self.ground.store.record_send_result(self.phone_key, CLIENT, replace(record, **facts), ())

    def sent(self, **changes: object) -> str:
        of = self.open(**changes)
        self.record_result(of, SendDisposition.ACCEPTED, provider_code="OK")
        return of

    def submit(self, of: str, *digests: bytes, call: bytes = b"") -> None:
        for each in digests:
            attempt = CodeAttempt(
                {"k1": each}, ALL_SHAPES, at=int(self.ground.clock.time), idempotency_fingerprint=call
            )
            try:
                self.ground.store.attempt(self.phone_key, CLIENT, of, attempt)
            except OtpError:
                assert each == WRONG


def verifications(client: redis.Redis) -> Steps:
    """The life of one verification with a resend, until its proof is used."""
    ground, made = Ground(client), {}
    phone_key = PhoneKey(PHONE_HASH, LIMITS, ip_hash=ADDRESS)
    new = NewVerification(
        VERIFICATION, CLIENT, PURPOSE, CodeType.DIGITS, "k1", SALT, RIGHT, ttl=300, attempts=5, sends=4
    )
    story = PhoneStory(ground, phone_key)
    ground.store.create(phone_key, new, BUDGETS)
    made["opened"] = ground.written()
    ground.pass_time(1.25)
    story.record_result(VERIFICATION, SendDisposition.ACCEPTED, provider_code="OK")
    made["accepted"] = ground.written()
    ground.pass_time(30)
    story.submit(VERIFICATION, WRONG)
    made["wrong code"] = ground.written()
    ground.pass_time(60)
    ground.store.reserve_resend(phone_key, CLIENT, VERIFICATION, 300, BUDGETS)
    story.record_result(VERIFICATION, SendDisposition.UNKNOWN, 2, route="backup")
    made["resent with unknown outcome"] = ground.written()
    ground.store.apply_delivery_reports(
        [DeliveryReport(PHONE_HASH, VERIFICATION, 1, DeliveryStatus.DELIVERED, "DELIVERED")]
    )
    ground.store.apply_delivery_reports(
        [DeliveryReport(PHONE_HASH, VERIFICATION, 2, DeliveryStatus.UNDELIVERED, "UNDELIV")]
    )
    made["reported"] = ground.written()
    ground.pass_time(2)
    story.submit(VERIFICATION, RIGHT, call=b"c" * 16)
    made["approved"] = ground.written()
    ground.store.redeem(PHONE_HASH, VERIFICATION, 780, b"d" * 16)
    ground.store.redeem(PHONE_HASH, "another", 780)
    made["redeemed"] = ground.written()
    return made


def ends_of_verifications(client: redis.Redis) -> Steps:
    ground, made = Ground(client), {}

    def phone(name: str, **facts: object) -> PhoneStory:
        return PhoneStory(ground, replace(PhoneKey(name.ljust(16, "-"), LIMITS, ADDRESS), **facts))

    phone("expects-letters").open(CodeType.ALNUM)
    canceled = phone("canceled")
    ground.store.cancel(canceled.phone_key, CLIENT, canceled.sent())
    exhausted = phone("exhausted")
    exhausted.submit(exhausted.sent(), *[WRONG] * 5)
    known = phone("known-device", known_device=True)
    known.submit(known.sent(), WRONG, WRONG)
    without_ip = phone("nobody", ip_hash=b"")
    without_ip.submit(without_ip.sent(), RIGHT)
    for how in (SendDisposition.NOT_SENT, SendDisposition.RECIPIENT_REJECTED, SendDisposition.RATE_LIMITED):
        story = phone(how.value)
        of = story.open()
        ground.pass_time(1)
        story.record_result(of, how, provider_code="isv.SOME_CODE", wait=3_600)
    withdrawn = phone("without-a-route")
    withdrawn.record_result(withdrawn.open(), SendDisposition.NOT_SENT, route="")
    made["ended"] = ground.written()
    ground.store.unlock(exhausted.phone_key.phone_hash)
    made["unlocked"] = ground.written(keys.phone_state(exhausted.phone_key.phone_hash))
    return made


def restricted_mode(client: redis.Redis) -> Steps:
    """One place for trusted calls and one for the others of each client; one code was guessed at."""
    ground = Ground(client)
    story = PhoneStory(
        ground, PhoneKey(PHONE_HASH, replace(LIMITS, restrict_after_failures=2, cooldown=(1,)), ADDRESS)
    )
    story.submit(story.sent(), WRONG, WRONG)
    ground.pass_time(400)
    story.submit(story.sent(), WRONG)
    story.phone_key = replace(story.phone_key, known_device=True)
    ground.pass_time(60)
    story.sent()
    return ground.written()


def old_row(client: redis.Redis) -> Steps:
    """A row of the first format, as the current version writes it back."""
    ground = Ground(client)
    before = int(NOW * 1000) - 60_000
    counts = bytes([3]) + (int(NOW) - 90).to_bytes(4, "big") + bytes(4) + bytes(6) + bytes([1, 1, 0])
    send = before.to_bytes(6, "big") + ADDRESS + VERIFICATION[:7].encode() + b"\1"
    client.set(keys.phone_state(PHONE_HASH), b"\1" + counts + send + (before + 1_000).to_bytes(6, "big"))
    made: Steps = {"before": ground.written()}
    PhoneStory(ground, PhoneKey(PHONE_HASH, LIMITS, ADDRESS)).open()
    return made | {"after": ground.written(keys.phone_state(PHONE_HASH))}


def addresses(client: redis.Redis) -> Steps:
    ground, made = Ground(client), {}
    address = ClientIpQuota("address-tag", IpLimits())
    for phone_hash in (PHONE_HASH, "other-phone-tag-", "third-phone-tag-"):
        ground.store.precheck(
            PhoneKey(phone_hash, LIMITS, ADDRESS), CLIENT, 5, PrecheckRequest(ip_quota=address)
        )
        ground.pass_time(1.5)
    made["sent"] = ground.written()
    ground.usage_counters.record_approval(PHONE_HASH, 0, address, ())
    ground.usage_counters.write()
    ground.pass_time(2 * 3_600)
    ground.usage_counters.record_approval("other-phone-tag-", 0, address, ())
    ground.usage_counters.record_miss(address)
    ground.usage_counters.write()
    ground.pass_time(125)
    ground.usage_counters.record_miss(address)
    ground.usage_counters.record_miss(address)
    ground.usage_counters.write()
    made["verified, and misses"] = ground.written("otp:[am]*")
    return made


def guards(client: redis.Redis) -> Steps:
    ground, made = Ground(client), {}
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
            ground.store.precheck(
                PhoneKey(PHONE_HASH, LIMITS), CLIENT, 5, PrecheckRequest(conversion_scopes=scopes)
            )
            ground.usage_counters.record_send(scopes, is_counted=True)
        ground.usage_counters.write()

    send(1)
    made["suspect"] = ground.written("otp:guard:*")
    ground.pass_time(70)
    ground.usage_counters.record_approval(PHONE_HASH, 0, None, scopes)
    ground.usage_counters.write()
    made["calm, since it was verified"] = ground.written("otp:guard:*")
    ground.pass_time(3_700)
    send(4)
    made["suspect in the next hour"] = ground.written("otp:guard:*")
    ground.pass_time(300)
    send(6)
    made["tripped"] = ground.written("otp:guard:*")
    return made


def other_values(client: redis.Redis) -> Steps:
    ground, made = Ground(client), {}
    running, ended = (IdempotencyRecord(name, bytes(range(16)), SEED) for name in ("running", "ended"))
    ground.store.begin_idempotent(running)
    ground.store.begin_idempotent(ended)
    ground.store.finish_idempotent(ended, VERIFICATION)
    made["idempotency"] = ground.written("otp:claim:*")
    for _ in range(3):
        ground.usage_counters.record_failure()
    ground.usage_counters.record_approval(PHONE_HASH, 1, None, ())
    ground.usage_counters.write()
    made["wrong codes"] = ground.written("otp:wrong_codes:*")
    ground.store.mark_missing_client_ip(CLIENT)
    ground.store.mark_unreadable_client_ip()
    made["hints"] = ground.written("otp:una*") | ground.written("otp:unr*")
    ground.store.precheck(
        PhoneKey(PHONE_HASH, LIMITS),
        CLIENT,
        5,
        PrecheckRequest(solved_challenge_id="challenge", solution_ttl=660),
    )
    made["solved challenge"] = ground.written("otp:*:solved:*")
    ground.store.acquire_lookup_lease(PHONE_HASH, VERIFICATION, "status")
    made["inquiry"] = ground.written("otp:*:status")
    ground.pages.create("page-tag", b"sealed", 600)
    made["page"] = ground.written("otp:page:*")
    ground.pages.compare_and_set("page-tag", 0, b"sealed again")
    made["page, written again"] = ground.written("otp:page:*")
    for event in (PageEvent.CREATED, PageEvent.OPENED):
        ground.pages.check_rate(event, CLIENT, PageQuota(10, 5), "address-tag")
        ground.pass_time(61)
        ground.pages.check_rate(event, CLIENT, PageQuota(10, 5), "")
    made["pages of a client"] = ground.written("otp:pages:*")
    return made


# ── the whole service ──


def service_and_store(client: redis.Redis) -> Steps:
    """Everything that a request, a wrong code, the right one and a redemption write, with all keys joined."""
    client.flushall()
    made: Steps = {}
    with fixed_randomness():
        on_stage = service_on_redis.build(client, service_on_redis.enforced(), KEYRING)
        service, repeat = on_stage.service, repeats.IdempotencyKey("an-idempotency-key", b'{"a":1}')
        sent = service.request(
            service_on_redis.MALL, PHONE, purpose=PURPOSE, client_ip=IPV6, idempotency_key=repeat
        )
        sms = on_stage.sender.sent[-1]
        made["SMS"] = {"code": sms.code.get_secret_value(), "out id": sms.reference}
        made["verification id"] = sent.verification_id
        made["requested"] = written(client)
        wrong = "000000" if sms.code.get_secret_value() != "000000" else "000001"
        on_stage.pass_time(5)
        for code in (wrong, sms.code.get_secret_value()):
            try:
                approved = service.verify(
                    service_on_redis.MALL,
                    PHONE,
                    sent.verification_id,
                    code,
                    client_ip=IPV6,
                    idempotency_key=repeat,
                )
            except OtpError as error:
                made["first code"] = error.code
        on_stage.pass_time(5)
        made["proof"] = approved.proof
        made["verified"] = written(client)
        service.redeem(service_on_redis.MALL, approved.proof, purpose=PURPOSE, idempotency_key=repeat)
        made["redeemed"] = written(client, "otp:claim:*") | written(client, "otp:*:redeemed")
    return made


def lookup_and_challenge(client: redis.Redis) -> Steps:
    """A browser's request of unknown outcome, the calls that ask about it, and a risk challenge."""
    client.flushall()
    risk = replace(
        service_on_redis.enforced(), ip_limits=IpLimits(**IpLimitsConfig(sends_per_hour=1).model_dump())
    )
    made: Steps = {}
    with fixed_randomness():
        on_stage = service_on_redis.build(client, risk, KEYRING)
        on_stage.sender.outcome = SendResult(SendStatus.UNKNOWN, route="main")
        service, repeat = on_stage.service, repeats.IdempotencyKey("an-idempotency-key", b'{"a":1}')
        sent = service.request(
            service_on_redis.MALL,
            PHONE,
            purpose=PURPOSE,
            client_ip=IPV4,
            is_public=True,
            idempotency_key=repeat,
        )
        made["claim of a browser"] = written(client, "otp:claim:*")
        service.status(service_on_redis.MALL, PHONE, sent.verification_id)
        made["asked by status"] = written(client, "otp:*:status")
        on_stage.pass_time(61)
        again = repeats.IdempotencyKey("the key of a resend", b'{"a":2}')
        service.resend(service_on_redis.MALL, PHONE, sent.verification_id, idempotency_key=again)
        made["asked by a resend"] = written(client, "otp:*:resend")
        made["claims with that of the resend"] = written(client, "otp:claim:*")
        try:
            service.request(service_on_redis.MALL, OTHER_PHONE, purpose=PURPOSE, client_ip=IPV4)
        except ChallengeRequired:
            binding, level = on_stage.challenges.issued[-1]
            made["challenge"] = {"client": binding.client, "phone": binding.phone_hash, "level": level}
        service.request(
            service_on_redis.MALL,
            OTHER_PHONE,
            purpose=PURPOSE,
            client_ip=IPV4,
            risk_solution="1:challenge-id",
        )
        made["solved"] = written(client, "otp:*:solved:*")
    return made


def page_in_the_store(client: redis.Redis) -> Steps:
    """A hosted page from its creation to the SMS; its values decrypted, behind format and version."""

    def decrypted_values() -> Steps:
        values = {key.decode(): client.get(key) or b"" for key in client.scan_iter("otp:page:*", count=1000)}
        return {
            key: f"{value[:5].hex()} {decrypted(value[5:], page.page_id)}" for key, value in values.items()
        }

    client.flushall()
    made: Steps = {}
    site = replace(service_on_redis.MALL, return_urls=frozenset({fakes.RETURN_URL}))
    with fixed_randomness():
        on_stage = service_on_redis.build(client, service_on_redis.enforced(), KEYRING)
        store = RedisStore(client, on_stage.events)
        store.redis.scripts = on_stage.runner
        pages = HostedPages(
            service=on_stage.service,
            clients=Clients([site]),
            store=RedisPages(store.redis),
            keyring=KEYRING,
            clock=on_stage.clock,
            deadline=6,
            draw=secrets.token_bytes,
        )
        page = pages.create(
            site, purpose=PURPOSE, return_url=fakes.RETURN_URL, state="state", locale="en", client_ip=IPV4
        )
        made["page id"] = page.page_id
        made["created"] = decrypted_values() | written(client, "otp:pages:*")
        look = pages.view(page.page_id, "")
        made["browser"], made["form key"] = look.browser_token, look.form_key
        pages.submit(
            page.page_id, look.browser_token, FormSubmission(look.form_key, "phone", phone=PHONE), IPV4
        )
        made["phone given"] = decrypted_values() | written(client, "otp:pages:*")
    return made


# ── all of it ──

COMPUTED: dict[str, Callable[[], Steps]] = {
    "sub-keys": sub_keys,
    "hashes": hashes,
    "idempotency": idempotency,
    "codes": derived_codes,
    "out ids": out_ids,
    "proofs": minted_proofs,
    "risk challenges": risk_challenges,
    "address probes": address_probes,
    "replies of phones": replies_of_phones,
    "hosted pages": hosted_pages,
    "key names": key_names,
}
STORED: dict[str, Callable[[redis.Redis], Steps]] = {
    "verification": verifications,
    "ends of verifications": ends_of_verifications,
    "slow lane": restricted_mode,
    "row of the first format": old_row,
    "addresses": addresses,
    "guards": guards,
    "other values": other_values,
    "the whole service": service_and_store,
    "inquiry and challenge": lookup_and_challenge,
    "page in the store": page_in_the_store,
}


def write() -> None:
    """Write the file anew, by what the sources do now."""
    made = {name: compute() for name, compute in COMPUTED.items()}
    with running(redis_binary()) as server, server.client() as client:
        made |= {name: tell(client) for name, tell in STORED.items()}
    FILE.write_text(json.dumps(made, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(made)} sections\n")


if __name__ == "__main__":
    write()
