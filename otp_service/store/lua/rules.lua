-- The limits of a phone. Each rule yields how many sends it leaves and when it allows the next.

-- `numbers` is what `store/arguments.py` writes, in its order; times in ms.
local function read_limits(numbers)
  local n = {}
  for digits in string.gmatch(numbers, '%d+') do n[#n + 1] = tonumber(digits) end
  local limits = {sends_per_hour = n[1], sends_per_day = n[2], sends_per_requester_per_hour = n[3],
                  failures_per_hour = n[4], failures_per_day = n[5], slow_lane_at = n[6], lock_at = n[7],
                  cooldown = {}}
  for i = 8, #n do limits.cooldown[i - 7] = n[i] end
  return limits
end

-- How many more of `times` (ascending) fit under `limit` in the `span` up to now, and when the next one does.
local function window(times, limit, span, now)
  local count = 0
  for i = #times, 1, -1 do
    if times[i] <= now - span then break end
    count = count + 1
  end
  if count < limit then return limit - count, now end
  return 0, times[#times - limit + 1] + span
end

local function times_of(sends, requester)
  local times = {}
  for _, send in ipairs(sends) do
    if not requester or send.requester == requester then times[#times + 1] = send.at end
  end
  return times
end

-- The latest of several rules wins: waiting for it satisfies the others too.
local function verdict()
  return {left = 255, at = 0}
end

local function apply(result, name, left, at)
  result.left = math.min(result.left, left)
  if at > result.at then result.at, result.name = at, name end
end

local function apply_cooldown(result, limits, all)
  if #all == 0 then return end
  -- Counted up to the last send, so that the step does not shrink while somebody waits.
  local hourly = 0
  for i = #all, 1, -1 do
    if all[i] <= all[#all] - HOUR then break end
    hourly = hourly + 1
  end
  local step = limits.cooldown[math.min(hourly, #limits.cooldown)]
  apply(result, 'phone_cooldown', 255, all[#all] + step)
end

-- May this phone get an SMS for this requester?
local function send_verdict(row, limits, requester, now)
  local result, all = verdict(), times_of(row.sends)
  if limits.sends_per_hour == 0 then return result end -- a test phone
  apply_cooldown(result, limits, all)
  apply(result, 'phone_sends_per_hour', window(all, limits.sends_per_hour, HOUR, now))
  apply(result, 'phone_sends_per_day', window(all, limits.sends_per_day, DAY, now))
  if requester ~= NOBODY then
    local own = times_of(row.sends, requester)
    apply(result, 'phone_requester_sends_per_hour',
          window(own, limits.sends_per_requester_per_hour, HOUR, now))
  end
  apply(result, 'provider_window', 255, row.not_before)
  return result
end

local function outstanding(row)
  local sum = 0
  for _, live in ipairs(row.live) do sum = sum + live.attempts end
  return sum
end

-- When enough live verifications have expired for `attempts` new ones to stay under the lock.
local function room_at(row, limits, attempts)
  local live = {}
  for i, entry in ipairs(row.live) do live[i] = entry end
  table.sort(live, function(a, b) return a.expires_at < b.expires_at end)
  local sum = row.streak + outstanding(row) + attempts
  local at = 0
  for _, entry in ipairs(live) do
    if sum <= limits.lock_at then break end
    sum, at = sum - entry.attempts, entry.expires_at + CLOCK_SLACK
  end
  return at
end

-- May this phone open a new verification? Returns the verdict and the attempts it would get.
-- streak + outstanding + new attempts <= lock_at holds whatever is submitted in whatever order.
local function open_verdict(row, limits, requester, attempts, now)
  local result = send_verdict(row, limits, requester, now)
  apply(result, 'phone_failures_per_hour', window(row.failures, limits.failures_per_hour, HOUR, now))
  apply(result, 'phone_failures_per_day', window(row.failures, limits.failures_per_day, DAY, now))
  local slow = row.streak >= limits.slow_lane_at
  if slow then
    attempts = 1
    if row.slow_at > 0 then apply(result, 'phone_slow_lane', 255, row.slow_at + DAY) end
  end
  if row.streak + attempts > limits.lock_at then
    apply(result, 'phone_locked', 0, (row.failures[#row.failures] or now) + MEMORY)
  else
    apply(result, 'phone_failures_possible', 255, room_at(row, limits, attempts))
  end
  return result, attempts, slow
end

local function refused(result, now)
  return result.at > now and {'refused', result.name, result.at - now}
end
