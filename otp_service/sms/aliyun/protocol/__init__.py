"""What is known about Aliyun's APIs, as pure functions and tables: each fact stands here once.

No I/O, no clock, no randomness, and no imports but the standard library. The providers and the sandbox build
on it.
"""

from __future__ import annotations
