#!lua
-- needs: bytes budget
-- Takes one SMS from a day's budget. KEYS: budget   ARGV: what of it is open to this phone
local now = clock()
local day, count = load_budget(KEYS[1], now)
if not day then return {'format'} end
if count >= tonumber(ARGV[1]) then return {'refused', day_end(day) - now} end
save_budget(KEYS[1], day, count + 1, now)
return {'ok', ARGV[1] - count - 1, day}
