#!lua flags=no-writes
-- needs: bytes row rules
-- First flush of a request: may this phone get an SMS for a new verification now?
-- KEYS: row   ARGV: limits, asking, client, attempts
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local requester, trusted = read_asking(ARGV[2], row)
local result, _, slow = open_verdict(row, read_limits(ARGV[1]), requester, trusted, ARGV[3], tonumber(ARGV[4]), now)
return refused(result, now) or {'ok', is_known(row, now), slow and 1 or 0, trusted and 1 or 0}
