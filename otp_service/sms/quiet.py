"""Keeps our requests out of urllib3's logs; touches the filters of its loggers.

At DEBUG urllib3 logs the target of every request, and with signature V3 that is the number and the code. The
level of a logger is the operator's to set, so its records are dropped by a filter; and only those of threads
with a request of ours under way, so that nobody else's are missed.
"""

from __future__ import annotations

import logging

from otp_service.sms import trip

LOGGERS = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)
"""All of urllib3's: the filter of a logger does not see the records of those below it."""


def _is_not_ours(_: logging.LogRecord) -> bool:
    return not trip.is_under_way()


def install() -> None:
    """Put the filter in place; doing so again changes nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_not_ours)
