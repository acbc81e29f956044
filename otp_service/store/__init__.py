"""Everything that the service stores, in Redis, with one Lua script for each atomic step.

Only this package imports redis. From the rest of the service it imports `domain` and `services.interfaces`.
"""

from __future__ import annotations
