#!lua
-- needs: bytes row
-- Forgets what a phone was sent, its failures and the provider's window; live verifications stay.
-- KEYS: row
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
row.sends, row.failures, row.seats, row.refusals = {}, {}, {}, {}
row.untrusted_failures, row.trusted_failures, row.not_before = 0, 0, 0
save_row(KEYS[1], row, now)
return {'ok'}
