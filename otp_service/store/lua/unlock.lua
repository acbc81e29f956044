#!lua
-- needs: bytes row
-- Forgets the failures of a phone; what it was sent stays counted. KEYS: row
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
row.untrusted_failures, row.trusted_failures, row.seats, row.failures = 0, 0, {}, {}
save_row(KEYS[1], row, now)
return {'ok'}
