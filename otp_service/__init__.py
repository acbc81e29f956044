"""otp_service, a self-hosted OTP verification service. Its public names are imported on first access."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otp_service.app import create_app as create_app
    from otp_service.app import create_blueprint as create_blueprint
    from otp_service.decorators import require_proof as require_proof

__version__ = "0.1.0"

__all__ = ["__version__", "create_app", "create_blueprint", "require_proof"]

_MODULES = {"create_app": "app", "create_blueprint": "app", "require_proof": "decorators"}


def __getattr__(name: str) -> Any:
    """Import a public name on first access, so that importing a submodule does not import Flask."""
    if name in _MODULES:
        return getattr(import_module(f"otp_service.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
