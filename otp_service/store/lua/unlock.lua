#!lua
-- needs: bytes row
-- Forgets the failures of a phone; what it was sent stays counted. KEYS: row
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
row.streak, row.slow_at, row.failures = 0, 0, {}
save_row(KEYS[1], row, now)
return {'ok'}
