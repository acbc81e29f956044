#!lua
-- include: packing budget
-- Returns one SMS to each budget if the day on which it was taken is not over. KEYS: budgets   ARGV: day
local today, left = budget_day(clock())
local counts = {}
for i, key in ipairs(KEYS) do
  local day, count = load_budget(key, today)
  if not day then return {'format'} end
  counts[i] = count
end
if today ~= tonumber(ARGV[1]) then return {'ok'} end
for i, key in ipairs(KEYS) do
  if counts[i] > 0 then save_budget(key, today, counts[i] - 1, left) end
end
return {'ok'}
