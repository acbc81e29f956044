"""Sending SMS: routes, their circuit breakers and limits, an HTTP client, and the providers.

`SendSms` and similar calls are billed and not idempotent, so nothing here sends an SMS again: there are no
retries, and another route is tried only if certainly nothing was sent. Imports `domain` and
`services.interfaces`; the only folder that imports standardwebhooks.
"""

from __future__ import annotations
