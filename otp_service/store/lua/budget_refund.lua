#!lua
-- needs: bytes budget
-- Gives one SMS back to the budget it was taken from, if its day is not over. KEYS: budget
local now = clock()
local day, count = load_budget(KEYS[1], now)
if count > 0 then save_budget(KEYS[1], day, count - 1, now) end
return {'ok'}
