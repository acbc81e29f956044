-- The row of a phone, `otp:{tag}`: what outlives its verifications. Times in ms unless said otherwise.
--   format u8 = 1 | streak u8: failures since the last success | known_at u32 s: last approval
--   slow_at u32 s: last verification opened in the slow lane | not_before u48: the provider's window
--   counts of sends, failures, live u8 each
--   sends:    at u48, slot 20 bytes: requester 12 (zero: not known), verification's short id 7, number u8
--   failures: at u48
--   live:     short id 7, expires_at u48, attempts reserved u8
-- Sends and failures ascend in time. Old ones are dropped on writing; the newest failure stays as long as
-- there is a streak, since the row lives 90 days from it.
local HOUR, DAY = 3600000, 86400000
local NOBODY = '\0\0\0\0\0\0\0\0\0\0\0\0'
local EMPTY_ROW = '\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'

local function short(verification_id)
  return sub(verification_id, 1, 7)
end

local function slot_of(requester, verification_id, number)
  return requester .. short(verification_id) .. char(number)
end

-- The time of each send is in `sent_at`, its slot at the same place in `slots`.
-- A clock that stepped back leaves times in the future: they count as now, so that they run out at all.
local function load_row(key, now)
  local s = redis.call('GET', key) or EMPTY_ROW
  local format, streak, known_at, slow_at, not_before, sends, failures, lives, at = unpack('>BBI4I4I6BBB', s)
  if format ~= 1 then return nil end
  local sent_at, slots, failed_at, live = {}, {}, {}, {}
  for i = 1, sends do
    sent_at[i], slots[i], at = unpack('>I6c20', s, at)
    sent_at[i] = min(sent_at[i], now)
  end
  for i = 1, failures do
    failed_at[i], at = unpack('>I6', s, at)
    failed_at[i] = min(failed_at[i], now)
  end
  for _ = 1, lives do
    local id, expires_at, attempts
    id, expires_at, attempts, at = unpack('>c7I6B', s, at)
    expires_at = min(expires_at, now + MAX_LIFE)
    -- As long as a step of the clock could make it live again, its attempts stay reserved.
    if expires_at + CLOCK_SLACK > now then
      live[#live + 1] = {id = id, expires_at = expires_at, attempts = attempts}
    end
  end
  return {
    streak = streak,
    known_at = min(known_at * 1000, now),
    slow_at = min(slow_at * 1000, now),
    not_before = min(not_before, now + DAY),
    sent_at = sent_at, slots = slots, failures = failed_at, live = live,
  }
end

-- Was it verified lately? 1 or 0.
local function is_known(row, now)
  return row.known_at > 0 and row.known_at > now - MEMORY and 1 or 0
end

local function remove_send(row, place)
  table.remove(row.sent_at, place)
  table.remove(row.slots, place)
end

local function prune(row, now)
  while row.sent_at[1] and row.sent_at[1] <= now - DAY do
    remove_send(row, 1)
  end
  local kept = row.streak > 0 and 1 or 0
  while #row.failures > kept and row.failures[1] <= now - DAY do
    table.remove(row.failures, 1)
  end
end

-- The row lives as long as anything in it can still matter; nil when nothing can.
local function row_end(row)
  local last = row.not_before
  if row.sent_at[1] then last = max(last, row.sent_at[#row.sent_at] + DAY) end
  local failed_at = row.failures[#row.failures]
  if failed_at then last = max(last, failed_at + (row.streak > 0 and MEMORY or DAY)) end
  if row.known_at > 0 then last = max(last, row.known_at + MEMORY) end
  if row.slow_at > 0 then last = max(last, row.slow_at + DAY) end
  for _, live in ipairs(row.live) do last = max(last, live.expires_at + CLOCK_SLACK) end
  return last
end

-- `char` refuses a count that does not fit.
local function packed_row(row)
  local s = pack('>BBI4I4I6', 1, row.streak, floor(row.known_at / 1000), floor(row.slow_at / 1000), row.not_before)
            .. char(#row.slots, #row.failures, #row.live)
  for i, slot in ipairs(row.slots) do s = s .. pack('>I6c20', row.sent_at[i], slot) end
  for _, at in ipairs(row.failures) do s = s .. pack('>I6', at) end
  for _, live in ipairs(row.live) do s = s .. pack('>c7I6B', live.id, live.expires_at, live.attempts) end
  return s
end

local function save_row(key, row, now)
  prune(row, now)
  local left = row_end(row) - now
  if left > 0 then
    redis.call('SET', key, packed_row(row), 'PX', left)
  else
    redis.call('DEL', key)
  end
end

local function find_live(row, verification_id)
  local id = short(verification_id)
  for i, live in ipairs(row.live) do
    if live.id == id then return live, i end
  end
end

local function end_live(row, verification_id)
  local _, i = find_live(row, verification_id)
  if i then table.remove(row.live, i) end
end

local function add_send(row, limits, slot, now)
  if limits.sends_per_hour == 0 then return end -- a test phone gets no SMS
  row.sent_at[#row.sent_at + 1], row.slots[#row.slots + 1] = now, slot
end

-- A send is found by whose it is, whoever asked for it.
local function find_send(row, verification_id, number)
  local whose = short(verification_id) .. char(number)
  for i, slot in ipairs(row.slots) do
    if sub(slot, 13) == whose then return slot, i end
  end
end
