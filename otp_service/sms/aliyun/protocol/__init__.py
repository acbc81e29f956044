"""Knowledge of Aliyun's APIs, as pure functions and tables: every fact is in one place.

No I/O, no clock, no randomness, and no imports except the standard library. The providers and the sandbox use
it.
"""

from __future__ import annotations
