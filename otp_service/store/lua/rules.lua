-- The limits of a phone. Each rule yields how many sends it leaves and when it allows the next.

-- `s` is what `store/arguments.py` writes: seven numbers u8, then the steps of the cooldown u24 s each.
local function read_limits(s)
  local sends_per_hour, sends_per_day, sends_per_requester, failures_per_hour, failures_per_day, slow_lane_at,
        lock_at = byte(s, 1, 7)
  return {sends_per_hour = sends_per_hour, sends_per_day = sends_per_day,
          sends_per_requester_per_hour = sends_per_requester, failures_per_hour = failures_per_hour,
          failures_per_day = failures_per_day, slow_lane_at = slow_lane_at, lock_at = lock_at, packed = s}
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

local function times_for(row, requester)
  local times = {}
  for i, slot in ipairs(row.slots) do
    if sub(slot, 1, 12) == requester then times[#times + 1] = row.sent_at[i] end
  end
  return times
end

-- The latest of several rules wins: waiting for it satisfies the others too.
local function apply(result, name, left, at)
  result.left = min(result.left, left)
  if at > result.at then result.at, result.name = at, name end
end

local function apply_cooldown(result, limits, all)
  -- Counted up to the last send, so that the step does not shrink while somebody waits.
  local hourly = 0
  for i = #all, 1, -1 do
    if all[i] <= all[#all] - HOUR then break end
    hourly = hourly + 1
  end
  local step = read_u24(limits.packed, min(5 + 3 * hourly, #limits.packed - 2)) * 1000
  apply(result, 'phone_cooldown', 255, all[#all] + step)
end

-- May this phone get an SMS for this requester?
local function send_verdict(row, limits, requester, now)
  local result, all = {left = 255, at = 0}, row.sent_at
  if limits.sends_per_hour == 0 then return result end -- a test phone
  if #all > 0 then apply_cooldown(result, limits, all) end
  apply(result, 'phone_sends_per_hour', window(all, limits.sends_per_hour, HOUR, now))
  apply(result, 'phone_sends_per_day', window(all, limits.sends_per_day, DAY, now))
  if requester ~= NOBODY then
    local own = times_for(row, requester)
    apply(result, 'phone_requester_sends_per_hour',
          window(own, limits.sends_per_requester_per_hour, HOUR, now))
  end
  apply(result, 'provider_window', 255, row.not_before)
  return result
end

-- When enough live verifications have expired for `attempts` new ones to stay under the lock.
local function room_at(row, limits, attempts)
  local sum = row.streak + attempts
  for _, entry in ipairs(row.live) do sum = sum + entry.attempts end
  if sum <= limits.lock_at then return 0 end
  local live, at = {}, 0
  for i, entry in ipairs(row.live) do live[i] = entry end
  table.sort(live, function(a, b) return a.expires_at < b.expires_at end)
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
