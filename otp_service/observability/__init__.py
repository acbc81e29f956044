"""Log lines, metrics and the system clock.

The only folder that imports structlog and prometheus-client. Of ours it imports `services.interfaces`.
"""

from __future__ import annotations
