"""Sending SMS: routes, what protects them, an HTTP client, and one folder per vendor.

`SendSms` and its like are billed and not idempotent, so nothing here sends an SMS again: there is no retry,
and another route is tried only when it is certain that nothing was sent. Imports `domain` and
`services.interfaces`.
"""

from __future__ import annotations
