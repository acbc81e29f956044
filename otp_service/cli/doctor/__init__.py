"""`otp-service doctor`: why codes do not arrive, in plain words and with the fix. It sends no SMS.

`command.py` is the command, `runner.py` runs the checks. May import any part of the package.
"""

from __future__ import annotations
