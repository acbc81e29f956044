"""Asks: one call about one phone, with the caller's texts turned into values. Touches nothing."""

from __future__ import annotations

from dataclasses import dataclass

from otp_service.clients import Client
from otp_service.codes import Code
from otp_service.phone import Phone
from otp_service.ports import PhoneSlot


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: who makes it, about which phone, until when (monotonic seconds).

    *address* is the tag of the end user's address, empty where it is not known. *is_public*: a browser makes
    it, with a publishable key or through a hosted page. *test_code* is the code of a configured test phone;
    *is_spared*: nothing about the call is suspicious.
    """

    client: Client
    phone: Phone
    slot: PhoneSlot
    deadline: float
    locale: str = ""
    address: str = ""
    is_public: bool = False
    test_code: Code | None = None
    is_spared: bool = False
