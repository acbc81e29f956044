"""The service: request, resend, verify, redeem, cancel, status. The order of the steps, nothing else.

Touches the outside only through the ports. Every public method takes the caller's texts, turns them into
values at once, and raises an error of `errors.py` for every outcome but success.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from otp_service import codes, phone
from otp_service.clients import Client
from otp_service.codes import Binding
from otp_service.doubts import Doubt, Doubts
from otp_service.errors import (
    DestinationRejected,
    FieldError,
    InternalError,
    InvalidRequest,
    OtpError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    StoreUnavailable,
    VerificationNotFound,
)
from otp_service.hints import Hints
from otp_service.keyring import Keyring
from otp_service.limits import MAX_LIFE, Budget, budgets
from otp_service.messages import Sms
from otp_service.out_id import OutId
from otp_service.phone import Phone
from otp_service.policy import Policy
from otp_service.ports import (
    Clock,
    Events,
    Fault,
    NewVerification,
    Outcome,
    OutcomeKind,
    PhoneSlot,
    SendPermit,
    SendRecord,
    Settlement,
    SmsSender,
    Store,
)
from otp_service.proofs import Proof, ProofSigner
from otp_service.requester import network
from otp_service.verification import Send, Verification

MAX_HINT = 5
"""Seconds; the `Retry-After` of a 503 is a hint, whatever the provider says."""

_Settle = Callable[..., Verification | None]

_VERIFICATION_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Sent:
    """An SMS is on its way, or may be: `verification.delivery` says which.

    *by_this_call*: False when nothing was sent now, since the last SMS is, or must be taken for, on its way.
    """

    verification: Verification
    phone: Phone
    by_this_call: bool = True


@dataclass(frozen=True, slots=True)
class Approved:
    """The right code was submitted: the proof of it, good for *proof_expires_in* seconds."""

    verification_id: str
    purpose: str
    phone: Phone
    proof: str
    proof_expires_in: int

    def __repr__(self) -> str:
        return f"Approved({self.verification_id})"


class Service:
    """The six calls. One instance serves all threads of a process."""

    def __init__(
        self,
        *,
        policy: Policy,
        keyring: Keyring,
        signers: Mapping[str, ProofSigner],
        store: Store,
        sender: SmsSender,
        clock: Clock,
        events: Events,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._signers = signers
        self._store = store
        self._sender = sender
        self._clock = clock
        self._events = events
        self._hints = Hints(store, clock, events)
        self._doubts = Doubts(keyring=keyring, store=store, sender=sender, clock=clock, events=events)

    # ── the calls ──

    def request(
        self,
        client: Client,
        phone_text: str,
        *,
        purpose: str | None = None,
        locale: str = "",
        client_ip: str | None = None,
        known_phone: bool = False,
    ) -> Sent:
        """Open a verification and send its code.

        *known_phone*: the client vouches for the phone, which may use the whole of the budgets.

        Raises:
            InvalidPhone, DestinationBlocked, InvalidRequest: what was asked for is not served here.
            LimitError: too early, or a limit or budget is full.
            ProviderError: nothing was sent.
            StoreUnavailable: nothing was sent, since the store is asked before.
        """
        ask = self._ask(client, phone_text, locale, client_ip)
        chosen = self._purpose(client, purpose)
        standing = self._store.peek(ask.slot, self._policy.code_limits.attempts)
        with self._sender.permit() as permit:
            return self._send_first(ask, chosen, permit, known=standing.known or known_phone)

    def resend(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        locale: str = "",
        client_ip: str | None = None,
        known_phone: bool = False,
    ) -> Sent:
        """Send the same code of the same verification once more.

        Not if nobody knows whether the last SMS was sent, and its provider does not say that it was not.

        Raises:
            VerificationError: it is unknown, has ended or is too old.
            Otherwise as `request`.
        """
        ask = self._ask(client, phone_text, locale, client_ip)
        _check_id(verification_id)
        standing = self._store.peek_resend(ask.slot, client.id, verification_id)
        last = standing.last
        if last and self._is_out(
            ask, verification_id, last, purpose=standing.purpose, now=standing.now, call="resend"
        ):
            verification = self._store.read(ask.slot, client.id, verification_id)
            return Sent(verification, ask.phone, by_this_call=False)
        with self._sender.permit() as permit:
            return self._send_again(ask, verification_id, permit, known=standing.known or known_phone)

    def verify(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        code_text: str,
        *,
        client_ip: str | None = None,
    ) -> Approved:
        """Count one attempt; return the proof if the code was right.

        Raises:
            InvalidPhone, DestinationBlocked, InvalidCode: no attempt was used.
            VerificationError: every outcome but approval.
            StoreUnavailable: whether the attempt was counted is not known.
        """
        ask = self._ask(client, phone_text, "", client_ip)
        code, shapes = codes.parse(code_text)
        _check_id(verification_id)
        binding = Binding(verification_id, client.id, ask.phone.e164)
        digests = {
            kid: codes.digest(keys.digest, binding, code) for kid, keys in self._keyring.by_kid.items()
        }
        purpose = self._store.attempt(ask.slot, client.id, verification_id, digests, shapes)
        proof = self._signers[client.id].mint(
            phone=ask.phone,
            purpose=purpose,
            verification_id=verification_id,
            ttl=self._policy.proof_ttl,
        )
        return Approved(verification_id, purpose, ask.phone, proof, self._policy.proof_ttl)

    def redeem(self, client: Client, proof_text: str, *, purpose: str) -> Proof:
        """Use a proof up and return its claims.

        Raises:
            ProofError: not valid for this client and purpose, too old, or used before.
        """
        proof = self._signers[client.id].read(proof_text, purpose=purpose)
        tag = self._keyring.phone_tag(proof.phone)
        self._store.redeem(tag, proof.verification_id, self._policy.proof_ttl + MAX_LIFE)
        return proof

    def status(self, client: Client, phone_text: str, verification_id: str) -> Sent:
        """Return a verification as it stands.

        Raises:
            VerificationNotFound: unknown, or not of this phone and client.
        """
        ask = self._ask(client, phone_text, "", None)
        _check_id(verification_id)
        verification = self._store.read(ask.slot, client.id, verification_id)
        if verification.is_in_doubt:
            purpose, now = verification.purpose, verification.now
            newest = verification.sends[-1]
            self._is_out(ask, verification_id, newest, purpose=purpose, now=now, call="status")
            verification = self._store.read(ask.slot, client.id, verification_id)
        return Sent(verification, ask.phone)

    def cancel(self, client: Client, phone_text: str, verification_id: str) -> None:
        """End a pending verification.

        Raises:
            VerificationError: unknown, or ended otherwise.
        """
        ask = self._ask(client, phone_text, "", None)
        _check_id(verification_id)
        self._store.cancel(ask.slot, client.id, verification_id)

    # ── the steps ──

    def _ask(self, client: Client, phone_text: str, locale: str, client_ip: str | None) -> _Ask:
        target = phone.parse(phone_text, self._policy.phones)
        requester = self._keyring.address_tag(network(client_ip)) if client_ip else b""
        return _Ask(
            client=client,
            phone=target,
            locale=locale,
            slot=PhoneSlot(self._keyring.phone_tag(target.e164), self._policy.phone_limits, requester),
            deadline=self._clock.monotonic() + self._policy.deadline,
        )

    def _is_out(
        self, ask: _Ask, verification_id: str, send: Send, *, purpose: str, now: float, call: str
    ) -> bool:
        """Tell whether *send* must be taken for sent although its provider has not said so."""
        if not send.is_in_doubt(now):
            return False
        out_id = OutId(ask.slot.tag, verification_id, send.number)
        doubt = Doubt(call, ask.phone, ask.client.id, purpose, out_id, send, now)
        return self._doubts.counts_as_sent(doubt, ask.deadline)

    def _budgets(self, client: Client) -> tuple[Budget, ...]:
        return budgets(client.id, client.sms_per_day, self._policy.sms_per_day, self._policy.known_share)

    def _open_budgets(self, client: Client, *, known: bool) -> dict[Budget, int]:
        return {budget: budget.open_to(known=known) for budget in self._budgets(client)}

    def _purpose(self, client: Client, purpose: str | None) -> str:
        if purpose is None and len(client.purposes) == 1:
            return client.purposes[0]
        if purpose is None:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is required")])
        if purpose not in client.purposes:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is not one of this client's")])
        return purpose

    def _send_first(self, ask: _Ask, purpose: str, permit: SendPermit, *, known: bool) -> Sent:
        code_type = self._policy.purposes[purpose]
        verification_id = secrets.token_urlsafe(16)
        salt = secrets.token_bytes(codes.SALT_BYTES)
        keys = self._keyring.active
        binding = Binding(verification_id, ask.client.id, ask.phone.e164)
        code = codes.derive(keys.code, salt, binding, code_type)
        new = NewVerification(
            verification_id=verification_id,
            client=ask.client.id,
            purpose=purpose,
            code_type=code_type,
            kid=self._keyring.active_kid,
            salt=salt,
            digest=codes.digest(keys.digest, binding, code),
            ttl=self._policy.code_limits.ttl,
            attempts=self._policy.code_limits.attempts,
            sends=self._policy.code_limits.sends,
        )
        opened = self._store.open(ask.slot, new, self._open_budgets(ask.client, known=known))
        return self._send(ask, opened, code, permit)

    def _send_again(self, ask: _Ask, verification_id: str, permit: SendPermit, *, known: bool) -> Sent:
        reopened = self._store.reopen(
            ask.slot,
            ask.client.id,
            verification_id,
            self._policy.code_limits.ttl,
            self._open_budgets(ask.client, known=known),
        )
        keys = self._keyring.by_kid.get(reopened.kid)
        if keys is None:
            raise InternalError  # its root secret was removed while it lived
        binding = Binding(verification_id, ask.client.id, ask.phone.e164)
        code = codes.derive(keys.code, reopened.salt, binding, reopened.verification.code_type)
        return self._send(ask, reopened.verification, code, permit)

    def _send(self, ask: _Ask, opened: Verification, code: codes.Code, permit: SendPermit) -> Sent:
        number = len(opened.sends)
        sms = Sms(
            phone=ask.phone,
            client=ask.client.id,
            purpose=opened.purpose,
            locale=ask.locale,
            code=code,
            code_type=opened.code_type,
            out_id=OutId(ask.slot.tag, opened.verification_id, number).signed(self._keyring.active.out_id),
        )
        settle = partial(self._settle, ask, opened, number)
        outcome = permit.send(sms, ask.deadline, late=partial(self._settle_late, settle))
        settled = self._settle_in_time(settle, outcome) or opened
        if not ask.slot.requester:
            self._hints.without_address(ask.client.id)
        if error := _refusal(outcome):
            raise error
        return Sent(settled.capped(opened.sends_left), ask.phone)

    def _settle_in_time(self, settle: _Settle, outcome: Outcome) -> Verification | None:
        """Book how the send ended. If the store fails now, the provider has spoken all the same.

        An SMS that is on its way needs its id, and a refusal its reason; the slot stays taken until its
        limit ends, so nothing is under-counted.
        """
        try:
            return settle(outcome)
        except StoreUnavailable:
            self._events.emit("settlement_lost", outcome=outcome.kind.value)
            return None

    def _settle(
        self, ask: _Ask, opened: Verification, number: int, outcome: Outcome, *, late: bool = False
    ) -> Verification | None:
        settlement = _settlement(outcome)
        self._events.emit(
            "send",
            phone=ask.slot.tag,
            phone_masked=str(ask.phone),
            client=ask.client.id,
            verification_id=opened.verification_id,
            number=number,
            outcome=settlement.value,
            route=outcome.route,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
            biz_id=outcome.biz_id,
            late=late,
        )
        record = SendRecord(
            verification_id=opened.verification_id,
            number=number,
            settlement=settlement,
            route=outcome.route,
            wait=outcome.wait,
            late=late,
            ttl=self._policy.code_limits.ttl,
            taken_at=opened.now,
        )
        refund = () if settlement in (Settlement.ACCEPTED, Settlement.UNKNOWN) else self._budgets(ask.client)
        return self._store.settle(ask.slot, ask.client.id, record, refund)

    def _settle_late(self, settle: _Settle, outcome: Outcome) -> None:
        """Book an answer that came after the caller's. Nobody waits for it: a failure only costs the slot."""
        self._settle_in_time(partial(settle, late=True), outcome)


@dataclass(frozen=True, slots=True)
class _Ask:
    """One call, with the caller's texts turned into values."""

    client: Client
    phone: Phone
    locale: str
    slot: PhoneSlot
    deadline: float


def _check_id(verification_id: str) -> None:
    """An id of another form was never ours; it must not reach a key."""
    if not _VERIFICATION_ID.fullmatch(verification_id):
        raise VerificationNotFound


def _settlement(outcome: Outcome) -> Settlement:
    if outcome.kind is not OutcomeKind.REFUSED:
        return Settlement(outcome.kind.value)
    if outcome.fault is Fault.NUMBER:
        return Settlement.REJECTED
    if outcome.fault is Fault.LIMIT:
        return Settlement.THROTTLED
    return Settlement.WITHDRAWN


def _refusal(outcome: Outcome) -> OtpError | None:
    if outcome.kind is not OutcomeKind.REFUSED:
        return None
    if outcome.fault is Fault.NUMBER:
        return DestinationRejected()
    if outcome.fault is Fault.LIMIT:
        return ProviderRateLimited(max(1, outcome.wait))
    if outcome.fault is Fault.ROUTE:
        return ProviderMisconfigured()
    return ProviderUnavailable(min(MAX_HINT, outcome.wait or 2))
