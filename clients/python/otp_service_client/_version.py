"""The version of the client, which is that of the service."""

from __future__ import annotations

__version__ = "0.1.0"
