"""HTTP: the blueprint that serves the API, the hosted page, the widget and Aliyun's delivery reports.

Requests become calls of the services; their results and errors become JSON. Imports Flask, `services` and
`domain`.
"""

from __future__ import annotations

from otp_service.web.api.known_routes import known_calls
from otp_service.web.blueprint import create_blueprint, install_problems
from otp_service.web.dependencies import ApiDependencies
from otp_service.web.mounted import OtpBlueprint

__all__ = ["ApiDependencies", "OtpBlueprint", "create_blueprint", "install_problems", "known_calls"]
