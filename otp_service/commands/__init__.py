"""The commands of `otp-service`, one file each; `cli.py` names them and their options."""
