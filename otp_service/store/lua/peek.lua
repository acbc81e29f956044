#!lua flags=no-writes
-- needs: bytes row rules
-- First flush of a request: may this phone get an SMS for a new verification now?
-- KEYS: row   ARGV: limits, requester, attempts
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local result, _, slow = open_verdict(row, read_limits(ARGV[1]), ARGV[2], tonumber(ARGV[3]), now)
return refused(result, now) or {'ok', is_known(row, now), slow and 1 or 0}
