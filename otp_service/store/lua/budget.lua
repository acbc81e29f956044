-- A budget, `<day> <count>`: SMS taken in a calendar day of UTC+8, the day of Aliyun's own caps.
local UTC8 = 28800000

local function day_end(day)
  return (day + 1) * 86400000 - UTC8
end

local function load_budget(key, now)
  local today = floor((now + UTC8) / 86400000)
  local s = redis.call('GET', key)
  if not s then return today, 0 end
  local day, count = string.match(s, '^(%d+) (%d+)$')
  if not day then return nil end
  -- A day in the future is a clock that stepped back: what was counted then counts today.
  if tonumber(day) >= today then return today, tonumber(count) end
  return today, 0
end

local function save_budget(key, day, count, now)
  redis.call('SET', key, string.format('%d %d', day, count), 'PX', day_end(day) - now + 3600000)
end
