"""The domain: values and rules, and nothing else.

No I/O, no clock, no randomness and no framework: all of these come in as arguments. A module here imports
other modules of this folder only.
"""

from __future__ import annotations
