-- The limits of a phone. Each rule yields how many sends it leaves and when it allows the next.
-- Untrusted calls may use their share of a limit. The rest is kept for trusted calls, which may use all of it.

-- `s` is what `store/encoding.py` writes: thirteen numbers u8, then the steps of the cooldown u24 s each.
local function read_limits(s)
  local limits = {packed = s}
  limits.sends_per_hour, limits.sends_per_day, limits.sends_per_requester_per_hour, limits.failures_per_hour,
    limits.failures_per_day, limits.slow_lane_at, limits.lock_at = byte(s, 1, 7)
  limits.untrusted_sends_per_hour, limits.untrusted_sends_per_day, limits.untrusted_failures_per_hour,
    limits.untrusted_failures_per_day, limits.untrusted_slow_lane_at, limits.untrusted_lock_at = byte(s, 8, 13)
  return limits
end

-- How many more of `events` (ascending) fit under `limit` in the `span` up to now, and when the next one does.
-- Unless `trusted` is nil, only events of trusted or of untrusted calls count.
local function window(events, limit, span, now, trusted)
  if limit <= 0 then return 0, math.huge end
  local count, oldest = 0, nil
  for i = #events, 1, -1 do
    local event = events[i]
    if event.at <= now - span then break end
    if trusted == nil or event.trusted == trusted then
      count = count + 1
      if count == limit then oldest = event.at end
    end
  end
  if count < limit then return limit - count, now end
  return 0, oldest + span
end

local function shared_window(events, limit, untrusted_limit, span, now, trusted)
  local left, at = window(events, limit, span, now)
  if trusted then
    local own_left, own_at = window(events, limit - untrusted_limit, span, now, true)
    return max(left, own_left), min(at, own_at)
  end
  local own_left, own_at = window(events, untrusted_limit, span, now, false)
  return min(left, own_left), max(at, own_at)
end

local function sends_for(row, requester)
  local sends = {}
  for _, send in ipairs(row.sends) do
    if sub(send.slot, 1, 12) == requester then sends[#sends + 1] = send end
  end
  return sends
end

-- The latest of several rules wins: waiting for it satisfies the others too.
local function apply(result, name, left, at)
  result.left = min(result.left, left)
  if at > result.at then result.at, result.name = at, name end
end

-- The steps are counted up to the last send, so that the step does not shrink while somebody waits.
local function cooldown_end(sends, limits, trusted)
  local last, hourly = nil, 0
  for i = #sends, 1, -1 do
    local send = sends[i]
    if trusted == nil or send.trusted == trusted then
      last = last or send.at
      if send.at <= last - HOUR then break end
      hourly = hourly + 1
    end
  end
  if not last then return 0 end
  return last + read_u24(limits.packed, min(11 + 3 * hourly, #limits.packed - 2)) * 1000
end

-- For a trusted call only its own sends lengthen the steps; after anybody's it waits for the first one, as the
-- provider demands.
local function apply_cooldown(result, row, limits, trusted)
  local last = row.sends[#row.sends]
  if not last then return end
  if trusted then
    apply(result, 'phone_cooldown', 255, last.at + read_u24(limits.packed, 14) * 1000)
    apply(result, 'phone_cooldown', 255, cooldown_end(row.sends, limits, true))
  else
    apply(result, 'phone_cooldown', 255, cooldown_end(row.sends, limits))
  end
end

-- May this phone get an SMS for this requester?
local function send_verdict(row, limits, requester, trusted, now)
  local result = {left = 255, at = 0}
  apply_cooldown(result, row, limits, trusted)
  apply(result, 'phone_sends_per_hour',
        shared_window(row.sends, limits.sends_per_hour, limits.untrusted_sends_per_hour, HOUR, now, trusted))
  apply(result, 'phone_sends_per_day',
        shared_window(row.sends, limits.sends_per_day, limits.untrusted_sends_per_day, DAY, now, trusted))
  if requester ~= NOBODY then
    apply(result, 'phone_requester_sends_per_hour',
          window(sends_for(row, requester), limits.sends_per_requester_per_hour, HOUR, now))
  end
  apply(result, 'provider_window', 255, row.not_before)
  return result
end

-- When enough live verifications have expired for `attempts` new ones to stay under `limit`.
-- Unless `trusted` is nil, only verifications of trusted or of untrusted calls count.
local function room_at(row, failures, limit, attempts, trusted)
  local sum, live = failures + attempts, {}
  for _, entry in ipairs(row.live) do
    if trusted == nil or entry.trusted == trusted then
      sum, live[#live + 1] = sum + entry.attempts, entry
    end
  end
  if sum <= limit then return 0 end
  local at = 0
  table.sort(live, function(a, b) return a.expires_at < b.expires_at end)
  for _, entry in ipairs(live) do
    if sum <= limit then break end
    sum, at = sum - entry.attempts, entry.expires_at + CLOCK_SLACK
  end
  return at
end

local function is_slow(row, limits, trusted)
  local failures = row.untrusted_failures + row.trusted_failures
  if trusted then
    return failures >= limits.slow_lane_at
           and row.trusted_failures >= limits.slow_lane_at - limits.untrusted_slow_lane_at
  end
  return failures >= limits.slow_lane_at or row.untrusted_failures >= limits.untrusted_slow_lane_at
end

local function is_locked(row, limits, attempts, trusted)
  return row.untrusted_failures + row.trusted_failures + attempts > limits.lock_at
         or not trusted and row.untrusted_failures + attempts > limits.untrusted_lock_at
end

-- In the slow lane there is one seat a day for all trusted calls, and one for the untrusted calls of each client.
local function seat_owner(client, trusted)
  return trusted and '' or client
end

-- May this phone open a new verification? Returns the verdict and the attempts it would get.
-- failures + outstanding + new attempts <= lock_at holds whatever is submitted in whatever order, and the same
-- for untrusted calls and their share.
local function open_verdict(row, limits, requester, trusted, client, attempts, now)
  local result = send_verdict(row, limits, requester, trusted, now)
  apply(result, 'phone_failures_per_hour',
        shared_window(row.failures, limits.failures_per_hour, limits.untrusted_failures_per_hour, HOUR, now, trusted))
  apply(result, 'phone_failures_per_day',
        shared_window(row.failures, limits.failures_per_day, limits.untrusted_failures_per_day, DAY, now, trusted))
  local slow = is_slow(row, limits, trusted)
  if slow then
    attempts = 1
    for _, seat in ipairs(row.seats) do
      if seat.client == seat_owner(client, trusted) then
        apply(result, 'phone_slow_lane', 255, seat_taken_until(row, seat))
      end
    end
  end
  -- What strangers have used of the count must not lock a trusted call out while a single attempt fits.
  if trusted and is_locked(row, limits, attempts, trusted) then attempts = 1 end
  if is_locked(row, limits, attempts, trusted) then
    local last = row.failures[#row.failures]
    apply(result, 'phone_locked', 0, (last and last.at or now) + MEMORY)
  else
    local failures = row.untrusted_failures + row.trusted_failures
    apply(result, 'phone_failures_possible', 255, room_at(row, failures, limits.lock_at, attempts))
    if not trusted then
      apply(result, 'phone_failures_possible', 255,
            room_at(row, row.untrusted_failures, limits.untrusted_lock_at, attempts, false))
    end
  end
  return result, attempts, slow
end

local function refused(result, now)
  return result.at > now and {'refused', result.name, result.at - now}
end
