-- The limits of a phone. Each rule returns how many sends it leaves and when it allows the next one.
-- Untrusted calls may use their share of a limit. Trusted calls may use all of it.

-- `s` comes from `encoding.limits`: thirteen numbers u8, then the steps of the cooldown, u24 s each.
local function read_limits(s)
  local limits = {packed = s}
  limits.sends_per_hour, limits.sends_per_day, limits.sends_per_requester_per_hour, limits.failures_per_hour,
    limits.failures_per_day, limits.restrict_after, limits.lock_after = byte(s, 1, 7)
  limits.untrusted_sends_per_hour, limits.untrusted_sends_per_day, limits.untrusted_failures_per_hour,
    limits.untrusted_failures_per_day, limits.untrusted_restrict_after, limits.untrusted_lock_after = byte(s, 8, 13)
  return limits
end

-- Returns how many more events fit under `limit` in the last `span` ms, and when the next one does. `events` must be
-- in ascending order.
-- Unless `trusted` is nil, only events of trusted or only those of untrusted calls count.
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

local function sends_for(phone, requester)
  local sends = {}
  for _, send in ipairs(phone.sends) do
    if sub(send.reference, 1, 12) == requester then sends[#sends + 1] = send end
  end
  return sends
end

-- The rule with the latest time wins: waiting for it satisfies the others too.
local function apply(result, name, left, at)
  result.left = min(result.left, left)
  if at > result.at then result.at, result.name = at, name end
end

-- Steps are counted up to the last send, so that the cooldown does not shrink during the wait.
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

-- For trusted calls, only sends of trusted calls lengthen the cooldown. After any send they wait for the first step,
-- as the provider demands.
local function apply_cooldown(result, phone, limits, trusted)
  local last = phone.sends[#phone.sends]
  if not last then return end
  if trusted then
    apply(result, 'phone_cooldown', 255, last.at + read_u24(limits.packed, 14) * 1000)
    apply(result, 'phone_cooldown', 255, cooldown_end(phone.sends, limits, true))
  else
    apply(result, 'phone_cooldown', 255, cooldown_end(phone.sends, limits))
  end
end

-- Judges another SMS to this phone for this requester.
local function send_verdict(phone, limits, requester, trusted, now)
  local result = {left = 255, at = 0}
  apply_cooldown(result, phone, limits, trusted)
  apply(result, 'phone_sends_per_hour',
        shared_window(phone.sends, limits.sends_per_hour, limits.untrusted_sends_per_hour, HOUR, now, trusted))
  apply(result, 'phone_sends_per_day',
        shared_window(phone.sends, limits.sends_per_day, limits.untrusted_sends_per_day, DAY, now, trusted))
  if requester ~= NO_REQUESTER then
    apply(result, 'phone_requester_sends_per_hour',
          window(sends_for(phone, requester), limits.sends_per_requester_per_hour, HOUR, now))
  end
  apply(result, 'provider_window', 255, phone.provider_blocked_until)
  return result
end

-- Returns when enough open verifications have expired for `attempts` new attempts to stay within `limit`.
-- Unless `trusted` is nil, only verifications of trusted or only those of untrusted calls count.
local function room_at(phone, failures, limit, attempts, trusted)
  local sum, open = failures + attempts, {}
  for _, entry in ipairs(phone.open_verifications) do
    if trusted == nil or entry.trusted == trusted then
      sum, open[#open + 1] = sum + entry.attempts, entry
    end
  end
  if sum <= limit then return 0 end
  local at = 0
  table.sort(open, function(a, b) return a.expires_at < b.expires_at end)
  for _, entry in ipairs(open) do
    if sum <= limit then break end
    sum, at = sum - entry.attempts, entry.expires_at + CLOCK_SLACK
  end
  return at
end

local function is_restricted(phone, limits, trusted)
  local failures = phone.untrusted_failures + phone.trusted_failures
  if trusted then
    return failures >= limits.restrict_after
           and phone.trusted_failures >= limits.restrict_after - limits.untrusted_restrict_after
  end
  return failures >= limits.restrict_after or phone.untrusted_failures >= limits.untrusted_restrict_after
end

local function is_locked(phone, limits, attempts, trusted)
  return phone.untrusted_failures + phone.trusted_failures + attempts > limits.lock_after
         or not trusted and phone.untrusted_failures + attempts > limits.untrusted_lock_after
end

-- In restricted mode there is one verification a day for all trusted calls, and one for the untrusted calls of each
-- client.
local function restricted_owner(client, trusted)
  return trusted and '' or client
end

-- Judges a new verification of this phone. Returns the result, the attempts that the verification would get, and
-- whether the phone is in restricted mode.
-- failures + outstanding + new attempts <= lock_after_failures holds in any order of calls, and the same for
-- untrusted calls and their share.
local function open_verdict(phone, limits, requester, trusted, client, attempts, now)
  local result = send_verdict(phone, limits, requester, trusted, now)
  apply(result, 'phone_failures_per_hour',
        shared_window(phone.failures, limits.failures_per_hour, limits.untrusted_failures_per_hour, HOUR, now, trusted))
  apply(result, 'phone_failures_per_day',
        shared_window(phone.failures, limits.failures_per_day, limits.untrusted_failures_per_day, DAY, now, trusted))
  local restricted = is_restricted(phone, limits, trusted)
  if restricted then
    attempts = 1
    for _, entry in ipairs(phone.restricted_verifications) do
      if entry.client == restricted_owner(client, trusted) then
        apply(result, 'phone_slow_lane', 255, restricted_until(phone, entry))
      end
    end
  end
  -- Failures of untrusted calls must not lock a trusted call out as long as a single attempt fits.
  if trusted and is_locked(phone, limits, attempts, trusted) then attempts = 1 end
  if is_locked(phone, limits, attempts, trusted) then
    local last = phone.failures[#phone.failures]
    apply(result, 'phone_locked', 0, (last and last.at or now) + PHONE_RETENTION)
  else
    local failures = phone.untrusted_failures + phone.trusted_failures
    apply(result, 'phone_failures_possible', 255, room_at(phone, failures, limits.lock_after, attempts))
    if not trusted then
      apply(result, 'phone_failures_possible', 255,
            room_at(phone, phone.untrusted_failures, limits.untrusted_lock_after, attempts, false))
    end
  end
  return result, attempts, restricted
end

local function refusal_reply(result, now)
  return result.at > now and {'refused', result.name, result.at - now}
end
