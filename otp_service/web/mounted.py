"""The service as a blueprint for somebody else's application. Touches Flask."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from otp_service.domain.proofs import Proof
from otp_service.web.blueprint import add_addresses
from otp_service.web.dependencies import ApiDependencies


class OtpBlueprint(Blueprint):
    """The whole API: register it, under a prefix or without one, and close it before the process ends."""

    def __init__(self, parts: ApiDependencies, close: Callable[[], None]) -> None:
        super().__init__("otp_service", __name__)
        self.close = close
        self._parts = parts
        add_addresses(self, parts)

    def redeemer(self, client: str) -> Callable[..., Proof]:
        """Return what uses proofs of *client* up without a call over the network, for `require_proof`.

        It is called as `redeem(proof, purpose=…)`, returns the claims, and raises an error of
        `domain/errors.py`.

        Raises:
            KeyError: there is no such client.
        """
        service, known = self._parts.service, self._parts.clients[client]

        def redeem(proof: str, *, purpose: str, allow_test: bool = False) -> Proof:
            return service.redeem(known, proof, purpose=purpose, allow_test=allow_test).proof

        return redeem
