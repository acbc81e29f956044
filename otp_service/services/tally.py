"""The tally of SMS: what the first flush counts as sent is given back when no SMS goes out.

An address and the guard count before anybody knows whether an SMS will go out, so that parallel calls are
seen. What is then refused must not stay counted: nobody can verify it, and strangers could fill the guard for
everybody without a single SMS. A process that dies in between has counted too much, never too little.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from otp_service.domain.errors import DestinationRejected, OtpError, ProviderError, StoreUnavailable
from otp_service.domain.risk import PrecheckResult, QuotaReservation
from otp_service.services.context import RequestContext
from otp_service.services.dispatch import SendOutcome
from otp_service.services.interfaces import Store


class Tally:
    """Takes back what was counted in vain; threads share it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def kept_if_sent(
        self, ask: RequestContext, standing: PrecheckResult, work: Callable[[], SendOutcome]
    ) -> SendOutcome:
        """Do *work*, and give back what *standing* has counted unless an SMS went out by it.

        Raises:
            OtpError: whatever *work* raises. A number at fault stays counted, and the address keeps the count
                of what a provider refused: both are how numbers are tried out.
        """
        try:
            sent = work()
        except (StoreUnavailable, DestinationRejected):
            raise
        except ProviderError:
            self._give_back(ask, replace(standing.reservation, address=None))
            raise
        except OtpError:
            self._give_back(ask, standing.reservation)
            raise
        if sent.replayed or not sent.dispatched:
            self._give_back(ask, standing.reservation)
        return sent

    def _give_back(self, ask: RequestContext, counted: QuotaReservation) -> None:
        """Give back; should the store fail now, too much stays counted."""
        if counted.address or counted.guards:
            with suppress(StoreUnavailable):
                self._store.release_quota(ask.phone_key.tag, counted)
