"""The doctor: why codes do not arrive, in plain words and with the fix. It sends no SMS."""
