"""HTTP: the blueprint that serves the API, the hosted page, the widget and Aliyun's delivery reports.

It turns requests into calls of the services, and their results and errors into JSON. May import `services`,
`domain`, Flask and pydantic.
"""

from __future__ import annotations

from otp_service.web.api.routes import endpoint_outcomes
from otp_service.web.blueprint import OtpBlueprint, create_blueprint, install_problems
from otp_service.web.dependencies import ApiDependencies

__all__ = ["ApiDependencies", "OtpBlueprint", "create_blueprint", "endpoint_outcomes", "install_problems"]
