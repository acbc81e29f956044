"""The domain: values and rules.

The modules perform no I/O, read no clock, draw no random numbers and use no framework; what they need is
passed as arguments. They import only each other.
"""

from __future__ import annotations
