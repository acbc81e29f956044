"""`otp-service doctor`: finds out why codes do not arrive, and how to fix it. It sends no SMS.

`command.py` is the command, `runner.py` runs the checks. May import any part of the package.
"""

from __future__ import annotations
