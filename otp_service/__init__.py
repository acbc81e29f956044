"""otp_service: a self-hosted OTP verification service. Touches nothing until `create_app` is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otp_service.app import create_app as create_app

__version__ = "0.1.0"

__all__ = ["__version__", "create_app"]


def __getattr__(name: str) -> Any:
    """Import `create_app` when it is asked for, so that importing a room does not import Flask."""
    if name == "create_app":
        from otp_service.app import create_app  # noqa: PLC0415 - lazy on purpose

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
