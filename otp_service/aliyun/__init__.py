"""What is known about Aliyun's SMS API, as pure functions and tables; touches nothing.

Code in this package does no I/O, reads no clock, draws no random number and uses
only the standard library. The SMS client and the sandbox both build on it, so that
each fact about the vendor is written down once.
"""

from __future__ import annotations
