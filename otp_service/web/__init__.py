"""The web room and the door to Flask: HTTP becomes calls of the service, its values and errors JSON."""

from __future__ import annotations

from otp_service.web.blueprint import create_blueprint, install_problems
from otp_service.web.known_calls import known_calls
from otp_service.web.mounted import ServiceBlueprint
from otp_service.web.parts import WebParts

__all__ = ["ServiceBlueprint", "WebParts", "create_blueprint", "install_problems", "known_calls"]
