#!lua
-- include: packing budget
-- Takes one SMS from each of a day's budgets, or from none.
-- KEYS: budgets   ARGV: how much of each budget is available to this phone
local today, left = budget_day(clock())
local counts, least = {}, 255
for i, key in ipairs(KEYS) do
  local day, count = load_budget(key, today)
  if not day then return {'format'} end
  if count >= tonumber(ARGV[i]) then return {'refused', i, left} end
  counts[i], least = count + 1, min(least, ARGV[i] - count - 1)
end
for i, key in ipairs(KEYS) do save_budget(key, today, counts[i], left) end
return {'ok', least, today}
