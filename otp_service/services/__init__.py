"""The use cases: what happens, and in what order, when a code is requested or verified, or a proof redeemed.

`interfaces.py` defines the interfaces to everything outside. The modules import only `domain` and each other.
"""

from __future__ import annotations
