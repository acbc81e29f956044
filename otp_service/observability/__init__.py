"""Log lines, metrics and the system clock.

The only folder that imports structlog and prometheus-client. Within this package it imports `forks`,
`services.interfaces` and the error code tables of `sms.aliyun.protocol`.
"""

from __future__ import annotations
