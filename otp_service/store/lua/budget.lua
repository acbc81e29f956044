-- A budget, `<day> <count>`: SMS taken in a calendar day of UTC+8, the day of Aliyun's own caps.
-- All budgets share a slot, so that one SMS is taken from several of them, or from none.
local UTC8, DAY = 28800000, 86400000

-- Which day it is, and for how long still.
local function budget_day(now)
  local today = floor((now + UTC8) / DAY)
  return today, (today + 1) * DAY - UTC8 - now
end

-- Returns the day and how much of it was taken; nil where a newer version wrote it.
local function load_budget(key, today)
  local s = redis.call('GET', key)
  if not s then return today, 0 end
  local day, count = string.match(s, '^(%d+) (%d+)$')
  if not day then return nil end
  -- A day in the future is a clock that stepped back: what was counted then counts today.
  if tonumber(day) >= today then return today, tonumber(count) end
  return today, 0
end

-- The first SMS of a day sets its end.
local function save_budget(key, day, count, left)
  if count == 1 then
    redis.call('SET', key, string.format('%d %d', day, count), 'PX', left + 3600000)
  else
    redis.call('SET', key, string.format('%d %d', day, count), 'KEEPTTL')
  end
end
