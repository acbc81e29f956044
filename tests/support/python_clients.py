"""Both Python clients behind one interface, so that one test covers both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from support.redis_servers import skip_or_fail

from otp_service_client import AsyncOtpClient, OtpClient


def needs_httpx() -> None:
    """Skip the test if httpx, which `AsyncOtpClient` needs, is not installed; fail in CI."""
    if find_spec("httpx") is None:
        skip_or_fail("httpx is not installed")


class BlockingClient:
    """An `AsyncOtpClient` with blocking calls: each runs in an event loop of this object."""

    def __init__(self, base_url: str, secret_key: str, **options: Any) -> None:
        self.wrapped = AsyncOtpClient(base_url, secret_key, **options)
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.wrapped, name)
        if not inspect.iscoroutinefunction(found):
            return found
        return lambda *args, **kwargs: self._runner.run(found(*args, **kwargs))

    def __repr__(self) -> str:
        return repr(self.wrapped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.run(self.wrapped.aclose())
        self._runner.close()


Connect = Callable[..., AbstractContextManager[OtpClient]]
"""Creates a client: an `OtpClient`, or a `BlockingClient`, which has the same methods."""

KINDS: dict[str, Any] = {"sync": OtpClient, "async": BlockingClient}
