#!lua
-- needs: bytes ring address
-- Counts a send against its requester's address, unless that has caused too many which nobody verified.
-- Whoever verifies makes room for others behind the same address: an office is no attacker.
-- KEYS: address   ARGV: "sends per hour, per day, phones per day, refused at so many times that, share in %",
--       phone, solved (1: a risk challenge was)
local now = clock()
local log = load_address(KEYS[1], now)
if not log then return {'format'} end
local per_hour, per_day, phones, factor, share = string.match(ARGV[1], '^(%d+) (%d+) (%d+) (%d+) (%d+)$')

local function latest_of_each_phone(sends)
  local seen, times = {}, {}
  for i = #sends, 1, -1 do
    if not seen[sends[i].phone] and sends[i].phone ~= ARGV[2] then
      seen[sends[i].phone] = true
      table.insert(times, 1, sends[i].at)
    end
  end
  return times
end

local function times_since(sends, since)
  local times = {}
  for _, send in ipairs(sends) do
    if send.at > since then times[#times + 1] = send.at end
  end
  return times
end

local made_room = floor(sum(log.verified) * share / 100)
local challenge, refused, wait = nil, nil, 0
local function judge(name, times, limit, span)
  -- Bounded, so that the log stays short whatever was verified.
  local room = math.min(made_room, limit * factor)
  if #times >= limit + room then challenge = challenge or name end
  local last = limit * factor + room
  if #times < last then return end
  local free_in = times[#times - last + 1] + span - now
  if free_in > wait then refused, wait = name, free_in end
end
judge('address_sends_per_hour', times_since(log.sends, now - HOUR), per_hour, HOUR)
judge('address_sends_per_day', times_since(log.sends, now - DAY), per_day, DAY)
judge('address_phones_per_day', latest_of_each_phone(log.sends), phones, DAY)

if refused then return {'refused', refused, wait} end
if challenge and ARGV[3] ~= '1' then return {'challenge', challenge} end
table.insert(log.sends, {at = now, phone = ARGV[2]})
save_address(KEYS[1], log)
return {'ok'}
