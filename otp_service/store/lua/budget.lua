-- A budget, `<day> <count>`: SMS taken on a calendar day in UTC+8, by which Aliyun's own caps count.
-- All budgets share a hash slot, so that one script takes an SMS from all of them or from none.
local UTC8, DAY = 28800000, 86400000

-- Returns the day and how many ms of it are left.
local function budget_day(now)
  local today = floor((now + UTC8) / DAY)
  return today, (today + 1) * DAY - UTC8 - now
end

-- Returns the day and the SMS taken on it; nil if a newer version wrote the value.
local function load_budget(key, today)
  local s = redis.call('GET', key)
  if not s then return today, 0 end
  local day, count = string.match(s, '^(%d+) (%d+)$')
  if not day then return nil end
  -- A day in the future means that the clock stepped back. Its SMS count today.
  if tonumber(day) >= today then return today, tonumber(count) end
  return today, 0
end

-- The first SMS of a day sets the time to live.
local function save_budget(key, day, count, left)
  if count == 1 then
    redis.call('SET', key, string.format('%d %d', day, count), 'PX', left + 3600000)
  else
    redis.call('SET', key, string.format('%d %d', day, count), 'KEEPTTL')
  end
end
