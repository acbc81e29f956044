"""The use cases: what happens, and in which order, when a code is requested, verified or redeemed.

`interfaces.py` describes what they need of the outside. A module here imports `domain` and its neighbours.
"""

from __future__ import annotations
