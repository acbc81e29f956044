#!lua
-- needs: bytes budget
-- Gives one SMS back to the budget it was taken from, if that day is not over. KEYS: budget   ARGV: day
local now = clock()
local day, count = load_budget(KEYS[1], now)
if not day then return {'format'} end
if day == tonumber(ARGV[1]) and count > 0 then save_budget(KEYS[1], day, count - 1, now) end
return {'ok'}
