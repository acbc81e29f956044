"""The service: request, resend, verify, redeem, cancel, status. The order of the steps, nothing else.

Touches the outside only through the ports. Every public method takes the caller's texts, turns them into
values at once, and raises an error of `domain/errors.py` for every outcome but success.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TypeVar

from otp_service.domain import codes, phone
from otp_service.domain.clients import Client
from otp_service.domain.codes import SALT_BYTES, Code, CodeContext
from otp_service.domain.errors import (
    DestinationBlocked,
    FieldError,
    InvalidRequest,
    LimitReached,
    OtpError,
    StoreUnavailable,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.idempotency import IdempotencyRecord, IdempotencyState
from otp_service.domain.keyring import ID_BYTES, Keyring
from otp_service.domain.limits import (
    MAX_VERIFICATION_LIFETIME,
    TEST_PHONE_LIMITS,
    RateLimitPolicy,
    rate_limit_policies,
)
from otp_service.domain.network import normalize_client_ip
from otp_service.domain.out_id import MessageReference
from otp_service.domain.phone import Phone, mask
from otp_service.domain.policy import Policy
from otp_service.domain.proofs import SMS, TEST, Proof, ProofSigner
from otp_service.domain.risk import ClientIpQuota, PhoneKey, PrecheckRequest, PrecheckResult
from otp_service.domain.verification import Approval, CodeAttempt, SmsSend, Verification
from otp_service.services import idempotency
from otp_service.services.context import RequestContext
from otp_service.services.dispatch import SendJob, SendOutcome, SmsDispatcher
from otp_service.services.idempotency import SERVER, IdempotencyKey
from otp_service.services.interfaces import (
    ChallengeProvider,
    Clock,
    EventLogger,
    RequestLogContext,
    SendPermit,
    SmsSender,
    Store,
    UsageCounters,
)
from otp_service.services.reconciliation import UnknownDelivery, UnknownDeliveryReconciler
from otp_service.services.risk import RiskAssessor
from otp_service.services.tally import Tally

__all__ = ["Approved", "IdempotencyKey", "Redeemed", "SendOutcome", "VerificationService"]

T = TypeVar("T")

_VERIFICATION_ID = re.compile(r"[A-Za-z0-9_-]{22}")

MISSES_LIMIT = "address_misses_per_10_minutes"


@dataclass(frozen=True, slots=True)
class Approved:
    """The right code was submitted: the proof of it, good for *proof_expires_in* seconds."""

    verification_id: str
    purpose: str
    phone: Phone
    proof: str
    proof_expires_in: int
    replayed: bool = False

    def __repr__(self) -> str:
        return f"Approved({self.purpose})"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A *proof* that was good, and is now used up."""

    proof: Proof
    replayed: bool = False


class VerificationService:
    """The six calls. One instance serves all threads of a process."""

    def __init__(
        self,
        *,
        policy: Policy,
        keyring: Keyring,
        signers: Mapping[str, ProofSigner],
        store: Store,
        sender: SmsSender,
        ledger: UsageCounters,
        challenges: ChallengeProvider | None,
        clock: Clock,
        events: EventLogger,
        notes: RequestLogContext,
    ) -> None:
        self._notes = notes
        self._policy = policy
        self._keyring = keyring
        self._signers = signers
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._events = events
        self._sending = SmsDispatcher(
            policy=policy, keyring=keyring, store=store, sender=sender, clock=clock, events=events
        )
        self._allowances: dict[str, Mapping[str, RateLimitPolicy]] = {}
        self._tally = Tally(store)
        self._doubts = UnknownDeliveryReconciler(
            keyring=keyring, store=store, sender=sender, clock=clock, events=events
        )
        self._suspicion = RiskAssessor(
            policy=policy.risk, keyring=keyring, challenges=challenges, ledger=ledger, events=events
        )

    # ── the calls ──

    def request(
        self,
        client: Client,
        phone_text: str,
        *,
        purpose: str | None = None,
        locale: str = "",
        client_ip: str | None = None,
        is_public: bool = False,
        known_phone: bool = False,
        accepts_challenge: bool = False,
        known_device: bool = False,
        risk_solution: str = "",
        repeat: IdempotencyKey | None = None,
    ) -> SendOutcome:
        """Open a verification and send its code.

        *is_public*: a browser calls, with a publishable key or through a hosted page. *known_phone*: the
        client has an account with this phone, which may use the whole of the budgets. *known_device*: the
        client recognises the device or session of this very person, whose call is then trusted.

        Raises:
            InvalidPhone, DestinationBlocked, InvalidRequest: what was asked for is not served here.
            ChallengeRequired: a risk challenge must be solved first.
            LimitError: too early, or a limit or budget is full.
            ProviderError: nothing was sent.
            StoreUnavailable: nothing was sent, since the store is asked before.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        ask = self._build_send_context(
            client, phone_text, locale, client_ip, is_public=is_public, known_device=known_device
        )
        chosen = self.choose_purpose(client, purpose)
        seed, salt = _drawn()
        claim = self._claim(ask, "request", repeat, seed)
        knock, level = self._knock(ask, risk_solution, claim)
        standing = self._store.precheck(
            ask.phone_key, client.id, self._policy.code_limits.max_attempts, knock
        )
        new_id = self._keyring.verification_id(standing.claim.result_id if standing.claim else seed)

        def send(claimed: IdempotencyRecord | None) -> SendOutcome:
            known = _has_reserved_share(ask, standing, known_phone=known_phone)
            self._suspicion.enforce(ask, standing, level, known=known, accepts_challenge=accepts_challenge)
            with self._permit(ask) as permit:
                sent = self._sending.send_new(
                    self._order(ask, new_id, permit, claimed, known=known), chosen, salt
                )
            self._suspicion.note_sent(ask, standing)
            return self._shown(ask, sent)

        return self._sent_once(ask, new_id, standing, claim, send)

    def resend(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        locale: str = "",
        client_ip: str | None = None,
        is_public: bool = False,
        known_phone: bool = False,
        accepts_challenge: bool = False,
        known_device: bool = False,
        risk_solution: str = "",
        repeat: IdempotencyKey | None = None,
    ) -> SendOutcome:
        """Send the same code of the same verification once more.

        Not if nobody knows whether the last SMS was sent, and its provider does not say that it was not.

        Raises:
            VerificationError: it is unknown, has ended or is too old.
            Otherwise as `request`.
        """
        ask = self._build_send_context(
            client, phone_text, locale, client_ip, is_public=is_public, known_device=known_device
        )
        lookup = self._lookup(ask)
        verification_hash = lookup.hash_of(verification_id)
        claim = self._claim(ask, "request", repeat, verification_hash)
        knock, level = self._knock(ask, risk_solution, claim)
        standing = self._store.precheck_resend(
            ask.phone_key, client.id, verification_hash, knock, opener_only=lookup.opener_only
        )

        def send(claimed: IdempotencyRecord | None) -> SendOutcome:
            known = _has_reserved_share(ask, standing, known_phone=known_phone)
            with lookup:
                self._suspicion.enforce(
                    ask, standing, level, known=known, accepts_challenge=accepts_challenge
                )
            if self._is_out(ask, verification_hash, standing):
                self._end(claimed)
                return self._as_it_stands(ask, verification_id, dispatched=False)
            with self._permit(ask) as permit:
                sent = self._sending.resend(self._order(ask, verification_id, permit, claimed, known=known))
            self._suspicion.note_sent(ask, standing)
            return self._shown(ask, sent)

        return self._sent_once(ask, verification_id, standing, claim, send)

    def verify(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        code_text: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
        repeat: IdempotencyKey | None = None,
    ) -> Approved:
        """Count one attempt; return the proof if the code was right.

        Raises:
            InvalidPhone, DestinationBlocked, InvalidCode, LimitReached: no attempt was used.
            VerificationError: every outcome but approval.
            StoreUnavailable: whether the attempt was counted is not known.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        ask = self._build_context(client, phone_text, client_ip, is_public=is_public)
        code, shapes = codes.parse(code_text)
        lookup = self._lookup(ask)
        verification_hash = lookup.hash_of(verification_id)
        claim = self._claim(ask, "verify", repeat, verification_hash)
        if claim:
            idempotency.raise_if_blocked(self._store.begin_idempotent(claim))

        def submit() -> Approved:
            binding = CodeContext(verification_id, client.id, ask.phone.e164)
            digests = {
                kid: codes.digest(keys.digest, binding, code) for kid, keys in self._keyring.by_kid.items()
            }
            call = claim.fingerprint if claim else b""
            attempt = CodeAttempt(digests, shapes, at=int(self._clock.now()), idempotency_fingerprint=call)
            with lookup:
                approval = self._attempt(ask, verification_hash, attempt, opener_only=lookup.opener_only)
            approved = self._approved(ask, verification_id, approval)
            self._end(claim)
            return approved

        return self._claimed(claim, submit)

    def redeem(
        self,
        client: Client,
        proof_text: str,
        *,
        purpose: str,
        allow_test: bool = False,
        repeat: IdempotencyKey | None = None,
    ) -> Redeemed:
        """Use a proof up and return its claims.

        Raises:
            ProofError: not valid for this client and purpose, too old, or used before.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        proof = self._signers[client.id].read(proof_text, purpose=purpose, allow_test=allow_test)
        tag = self._keyring.phone_tag(proof.phone)
        verification_hash = self._keyring.verification_hash(proof.verification_id)
        self._notes.bind(phone_hash=tag, phone_masked=mask(proof.phone), verification_hash=verification_hash)
        claim = None
        if repeat:
            claim = idempotency.record_for(
                self._keyring, client.id, repeat, caller=SERVER, call="redeem", what=verification_hash
            )
        if claim:
            idempotency.raise_if_blocked(self._store.begin_idempotent(claim))

        def use_up() -> Redeemed:
            call = claim.fingerprint if claim else b""
            ttl = self._policy.proof_ttl + MAX_VERIFICATION_LIFETIME
            repeated = self._store.redeem(tag, verification_hash, ttl, call)
            self._end(claim)
            return Redeemed(proof, repeated)

        return self._claimed(claim, use_up)

    def status(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
    ) -> SendOutcome:
        """Return a verification as it stands.

        Raises:
            VerificationNotFound: unknown, or not of this phone and client.
        """
        ask = self._build_context(client, phone_text, client_ip, is_public=is_public)
        lookup = self._lookup(ask)
        verification_hash = lookup.hash_of(verification_id)
        with lookup:
            verification = self._store.read(
                ask.phone_key, client.id, verification_hash, opener_only=lookup.opener_only
            )
        if verification.has_unknown_outcome:
            newest = verification.sends[-1]
            self._settle_doubt(ask, verification, newest)
            verification = self._store.read(ask.phone_key, client.id, verification_hash)
        return self._shown(ask, SendOutcome(verification_id, verification, ask.phone))

    def cancel(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
    ) -> None:
        """End a pending verification.

        Raises:
            VerificationError: unknown, or ended otherwise.
        """
        ask = self._build_context(client, phone_text, client_ip, is_public=is_public)
        lookup = self._lookup(ask)
        verification_hash = lookup.hash_of(verification_id)
        with lookup:
            self._store.cancel(ask.phone_key, client.id, verification_hash, opener_only=lookup.opener_only)

    def unlock(self, client: Client, phone_text: str) -> None:
        """Forget the failures of a phone, so that it can be verified again."""
        ask = self._build_context(client, phone_text, None)
        self._store.unlock(ask.phone_key.tag)
        self._events.emit(
            "phone_unlocked", phone_hash=ask.phone_key.tag, phone_masked=str(ask.phone), client=client.id
        )

    def rate_limit_policies(self, client: Client) -> Mapping[str, RateLimitPolicy]:
        """Return how much each limit allows to the calls of *client*."""
        if client.id not in self._allowances:
            policy = self._policy
            limits = client.limits or policy.phone_limits
            self._allowances[client.id] = rate_limit_policies(
                limits, policy.code_limits, policy.risk.address, client.sms_per_day, policy.sms_per_day
            )
        return self._allowances[client.id]

    # ── what is asked ──

    def _lookup(self, ask: RequestContext) -> _Lookup:
        address = self._address_slot(ask)
        wait = self._ledger.seconds_until_misses_allowed(address) if address and ask.is_public else 0
        return _Lookup(self._keyring, self._ledger, self._notes, address, wait)

    def _order(
        self,
        ask: RequestContext,
        verification_id: str,
        permit: SendPermit | None,
        claim: IdempotencyRecord | None,
        *,
        known: bool,
    ) -> SendJob:
        verification_hash = self._keyring.verification_hash(verification_id)
        self._notes.bind(verification_hash=verification_hash)
        return SendJob(ask, verification_id, verification_hash, permit, known, claim)

    def _shown(self, ask: RequestContext, sent: SendOutcome) -> SendOutcome:
        """Return what the caller may see: for a browser only what follows from its own verification."""
        if not ask.is_public:
            return sent
        own = sent.verification.without_shared_limits(ask.phone_key.limits.cooldown)
        return replace(sent, verification=own)

    def _build_context(
        self,
        client: Client,
        phone_text: str,
        client_ip: str | None,
        locale: str = "",
        *,
        is_public: bool = False,
        known_device: bool = False,
    ) -> RequestContext:
        target = phone.parse(phone_text, self._policy.phones)
        requester = self._keyring.address_tag(normalize_client_ip(client_ip)) if client_ip else b""
        tag = self._keyring.phone_tag(target.e164)
        test_code = self._test_code(target)
        address = base64.urlsafe_b64encode(requester).decode()
        self._notes.bind(phone_hash=tag, phone_masked=str(target), client_ip_hash=address)
        limits = TEST_PHONE_LIMITS if test_code else client.limits or self._policy.phone_limits
        return RequestContext(
            client=client,
            phone=target,
            phone_key=PhoneKey(tag, limits, requester, known_device=known_device),
            deadline=self._clock.monotonic() + self._policy.deadline,
            locale=locale,
            client_ip_hash=address,
            test_code=test_code,
            is_public=is_public,
            is_allowlisted=self._policy.lists.is_allowlisted(target, tag, client_ip),
        )

    def _test_code(self, target: Phone) -> Code | None:
        test = self._policy.test_phones.get(target.e164)
        return test.code if test and self._clock.now() <= test.ends_at else None

    def _build_send_context(
        self,
        client: Client,
        phone_text: str,
        locale: str,
        client_ip: str | None,
        *,
        is_public: bool,
        known_device: bool,
    ) -> RequestContext:
        ask = self._build_context(
            client, phone_text, client_ip, locale, is_public=is_public, known_device=known_device
        )
        lists = self._policy.lists
        if lists.deny_phone(ask.phone, ask.phone_key.tag) or lists.deny_address(client_ip):
            raise DestinationBlocked
        return ask

    def is_same_phone(self, text: str, other_text: str) -> bool:
        """Tell whether two texts spell the same phone number. One that is not a number equals none."""
        try:
            one, other = (phone.parse(each, self._policy.phones) for each in (text, other_text))
        except OtpError:
            return False
        return one.e164 == other.e164

    def choose_purpose(self, client: Client, purpose: str | None) -> str:
        """Return what a call of *client* is for, which may go without saying.

        Raises:
            InvalidRequest: it is not one of the client's, or one of several must be named.
        """
        if purpose is None and len(client.purposes) == 1:
            return client.purposes[0]
        if purpose is None:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is required")])
        if purpose not in client.purposes:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is not one of this client's")])
        return purpose

    def _knock(
        self, ask: RequestContext, risk_solution: str, claim: IdempotencyRecord | None
    ) -> tuple[PrecheckRequest, int]:
        knock, level = self._suspicion.build_precheck(ask, risk_solution)
        return (replace(knock, claim=claim) if claim else knock), level

    def _permit(self, ask: RequestContext) -> AbstractContextManager[SendPermit | None]:
        """Return the right to one send, to be held; test phones need none."""
        return nullcontext() if ask.test_code else self._sending.permit()

    def _sent_once(
        self,
        ask: RequestContext,
        verification_id: str,
        standing: PrecheckResult,
        claim: IdempotencyRecord | None,
        send: Callable[[IdempotencyRecord | None], SendOutcome],
    ) -> SendOutcome:
        """Let *send* do its work, unless the call repeats one that has led somewhere."""

        def work() -> SendOutcome:
            if claim is None or standing.claim is None:
                return send(None)
            idempotency.raise_if_blocked(standing.claim)
            claimed = replace(claim, result_id=standing.claim.result_id)
            earlier = self._earlier(ask, verification_id, claimed, standing.claim.state)
            return earlier or self._claimed(claimed, partial(send, claimed))

        return self._tally.kept_if_sent(ask, standing, work)

    # ── idempotency keys ──

    def _claim(
        self, ask: RequestContext, call: str, repeat: IdempotencyKey | None, what: str
    ) -> IdempotencyRecord | None:
        if repeat is None:
            return None
        caller = idempotency.browser_at(ask.client_ip_hash) if ask.is_public else SERVER
        return idempotency.record_for(
            self._keyring, ask.client.id, repeat, caller=caller, call=call, what=what
        )

    def _claimed(self, claim: IdempotencyRecord | None, work: Callable[[], T]) -> T:
        """Do *work*; a refusal frees the idempotency key."""
        try:
            return work()
        except OtpError:
            self._end(claim, success=False)
            raise

    def _end(self, claim: IdempotencyRecord | None, *, success: bool = True) -> None:
        """End a claim that the third flush does not end. If the store fails now, it ends by itself."""
        if claim:
            with suppress(StoreUnavailable):
                self._store.finish_idempotent(claim, claim.result_id if success else "")

    def _earlier(
        self, ask: RequestContext, verification_id: str, claim: IdempotencyRecord, state: IdempotencyState
    ) -> SendOutcome | None:
        """Return what the first call of an idempotency key has led to, if it got so far."""
        if state is IdempotencyState.NEW:
            return None
        try:
            found = self._as_it_stands(
                ask, verification_id, replayed=True, outcome_unknown=state is IdempotencyState.ABANDONED
            )
        except VerificationNotFound:
            if state is IdempotencyState.ABANDONED:
                return None  # it died before it opened anything
            raise
        self._end(claim)
        return found

    def _as_it_stands(self, ask: RequestContext, verification_id: str, **how: bool) -> SendOutcome:
        verification_hash = self._keyring.verification_hash(verification_id)
        self._notes.bind(verification_hash=verification_hash)
        verification = self._store.read(ask.phone_key, ask.client.id, verification_hash)
        return self._shown(ask, SendOutcome(verification_id, verification, ask.phone, **how))

    # ── sends in doubt ──

    def _is_out(self, ask: RequestContext, verification_hash: str, standing: PrecheckResult) -> bool:
        """Tell whether the last SMS must be taken for sent although its provider has not said so."""
        last = standing.last_send
        if last is None or not last.has_unknown_outcome(standing.now):
            return False
        out_id = MessageReference(ask.phone_key.tag, verification_hash, last.number)
        doubt = UnknownDelivery(
            "resend", ask.phone, ask.client.id, standing.purpose, out_id, last, standing.now
        )
        return self._doubts.must_assume_sent(doubt, ask.deadline)

    def _settle_doubt(self, ask: RequestContext, verification: Verification, send: SmsSend) -> None:
        out_id = MessageReference(ask.phone_key.tag, verification.verification_hash, send.number)
        doubt = UnknownDelivery(
            "status", ask.phone, ask.client.id, verification.purpose, out_id, send, verification.now
        )
        self._doubts.must_assume_sent(doubt, ask.deadline)

    # ── attempts ──

    def _address_slot(self, ask: RequestContext) -> ClientIpQuota | None:
        return ClientIpQuota(ask.client_ip_hash, self._policy.risk.address) if ask.client_ip_hash else None

    def _attempt(
        self, ask: RequestContext, verification_hash: str, attempt: CodeAttempt, *, opener_only: bool
    ) -> Approval:
        try:
            approval = self._store.attempt(
                ask.phone_key, ask.client.id, verification_hash, attempt, opener_only=opener_only
            )
        except WrongCode:
            self._ledger.record_failure()
            raise
        if not approval.replayed:
            scopes = self._suspicion.conversion_scopes(ask)
            self._ledger.record_approval(
                ask.phone_key.tag, approval.failed_attempts, self._address_slot(ask), scopes
            )
            self._notes.bind(
                purpose=approval.purpose,
                route=approval.route,
                country=ask.phone.country,
                verified_after=round(approval.seconds_to_verify, 1),
            )
        return approval

    def _approved(self, ask: RequestContext, verification_id: str, approval: Approval) -> Approved:
        proof = self._signers[ask.client.id].mint(
            phone=ask.phone,
            purpose=approval.purpose,
            verification_id=verification_id,
            ttl=self._policy.proof_ttl,
            amr=(TEST if ask.test_code else SMS,),
            at=approval.approved_at,
        )
        left = max(0, approval.approved_at + self._policy.proof_ttl - int(self._clock.now()))
        return Approved(verification_id, approval.purpose, ask.phone, proof, left, approval.replayed)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A call about a verification that its caller names: used as a context, it counts what is not found.

    Once an address has used up its misses, it finds the verifications that were opened from it and no others;
    *wait* is for how many seconds, 0 before that. What is then refused is refused alike whether it exists or
    not, and counts no more: otherwise the refusal would tell which ids exist.
    """

    keyring: Keyring
    ledger: UsageCounters
    notes: RequestLogContext
    address: ClientIpQuota | None
    wait: int

    @property
    def opener_only(self) -> bool:
        return self.wait > 0

    def hash_of(self, verification_id: str) -> str:
        """Return the tag of *verification_id*; an id of another form was never ours.

        Raises:
            VerificationNotFound, LimitReached: it has another form.
        """
        with self:
            if not _VERIFICATION_ID.fullmatch(verification_id):
                raise VerificationNotFound
        verification_hash = self.keyring.verification_hash(verification_id)
        self.notes.bind(verification_hash=verification_hash)
        return verification_hash

    def __enter__(self) -> None:
        """Begin to look for missing verifications."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count a verification that was not found.

        Raises:
            LimitReached: instead of VerificationNotFound, where the address has used up its misses.
        """
        if not isinstance(error, VerificationNotFound):
            return
        if self.wait:
            raise LimitReached(self.wait, MISSES_LIMIT) from None
        if self.address:
            self.ledger.record_miss(self.address)


def _has_reserved_share(ask: RequestContext, standing: PrecheckResult, *, known_phone: bool) -> bool:
    """Tell whether the part of the budgets that is kept for known phones is open to this call.

    With a publishable key only to a trusted requester: anybody can ask for any phone, and would learn from
    the answer whether it is known.
    """
    return standing.is_trusted or (not ask.is_public and (standing.known or known_phone))


def _drawn() -> tuple[str, bytes]:
    """Return the seed of a new verification's id and a salt, from one call for random bytes."""
    drawn = secrets.token_bytes(ID_BYTES + SALT_BYTES)
    return base64.urlsafe_b64encode(drawn[:ID_BYTES]).rstrip(b"=").decode(), drawn[ID_BYTES:]
