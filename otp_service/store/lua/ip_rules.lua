-- The limits of an IP address.

-- `s` comes from `encoding.ip_limits`, u24 each.
local function read_ip_limits(s)
  return {per_hour = read_u24(s, 1), per_day = read_u24(s, 4), phones = read_u24(s, 7),
          factor = read_u24(s, 10), share = read_u24(s, 13)}
end

local function times_since(sends, since)
  local times = {}
  for _, send in ipairs(sends) do
    if send.at > since then times[#times + 1] = send.at end
  end
  return times
end

local function latest_of_each_phone(sends, but)
  local seen, times = {}, {}
  for i = #sends, 1, -1 do
    if not seen[sends[i].phone] and sends[i].phone ~= but then
      seen[sends[i].phone] = true
      table.insert(times, 1, sends[i].at)
    end
  end
  return times
end

-- Judges another send to `phone`. Returns the limit that requires a risk challenge, the limit that rejects the send,
-- and for how many ms.
local function ip_verdict(log, limits, phone, now)
  local made_room = floor(approved_count(log) * limits.share / 100)
  local challenge, refused, wait = nil, nil, 0
  local function judge(name, times, limit, span)
    -- Bounded, so that approvals cannot make the log arbitrarily long.
    local room = min(made_room, limits.per_day * limits.factor)
    if #times >= limit + room then challenge = challenge or name end
    local last = limit * limits.factor + room
    if #times < last then return end
    local free_in = times[#times - last + 1] + span - now
    if free_in > wait then refused, wait = name, free_in end
  end
  judge('address_sends_per_hour', times_since(log.sends, now - HOUR), limits.per_hour, HOUR)
  judge('address_sends_per_day', times_since(log.sends, now - DAY), limits.per_day, DAY)
  judge('address_phones_per_day', latest_of_each_phone(log.sends, phone), limits.phones, DAY)
  return challenge, refused, wait
end
