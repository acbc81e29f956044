"""The store: everything that the service remembers, in Redis, with one Lua script for each atomic step.

The only folder that imports redis. Of ours it imports `domain` and `services.interfaces`.
"""

from __future__ import annotations
