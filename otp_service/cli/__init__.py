"""The command line: one file for each command of `otp-service`. `main.py` names them and their options.

A command joins any parts of the package. `main.py` imports a command only when it runs.
"""

from __future__ import annotations
