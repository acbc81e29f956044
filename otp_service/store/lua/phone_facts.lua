#!lua flags=no-writes
-- needs: bytes row
-- What is counted of a phone. KEYS: row
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local sends = {}
for i, send in ipairs(row.sends) do sends[i] = send.at end
return {'ok', now, row.streak, row.known_at, row.slow_at, row.not_before, sends, row.failures, #row.live}
