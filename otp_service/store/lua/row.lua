-- What outlives the verifications of a phone, `otp:{tag}`. Times in ms unless said otherwise.
--   format u8 = 2 | failures since the last success, of untrusted and of trusted calls, u8 each
--   known_at u32 s: last approval | not_before u48: the provider's window
--   counts of sends, failures, live, requesters, seats, refusals u8 each
--   sends:      at u48, slot 20 bytes: requester 12 (zero: not known), short tag of the verification 7, number u8
--               | state u8: s u a j d n | end u8, of send 1: how its verification ended, p a x c
--               | route: length u8 and bytes | provider code: length u8 and bytes
--   failures:   at u48
--   live:       short tag 7, expires_at u48, attempts reserved u8
--   requesters: of those that verified this phone last, the newest first: 12 bytes | when u32 s
--   seats:      verifications of the slow lane: client, empty for trusted calls: length u8 and bytes
--               | short tag 7 | at u32 s | guessed u8: 1 once a wrong code was submitted
--   refusals:   sends that went nowhere and count nowhere, for `otp-service history`: at u48 | short tag 7
--               | number u8 | state u8: w t | route: length u8 and bytes | provider code: length u8 and bytes
-- A send or failure of a trusted call has bit 47 of its time set, the attempts of its verification bit 7.
-- Sends and failures ascend in time. Old ones are dropped on writing; the newest failure stays as long as
-- failures are counted, since the row lives 90 days from it.
local HOUR, DAY = 3600000, 86400000
local NOBODY = '\0\0\0\0\0\0\0\0\0\0\0\0'
local EMPTY_ROW = '\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local TRUSTED_TIME, TRUSTED_ATTEMPTS = 140737488355328, 128
local MAX_REQUESTERS, MAX_REFUSALS = 3, 10

local function short(verification)
  return sub(verification, 1, 7)
end

local function slot_of(requester, verification, number)
  return requester .. short(verification) .. char(number)
end

-- A clock that stepped back leaves times in the future: they count as now, so that they run out at all.
local function read_time(packed, now)
  local trusted = packed >= TRUSTED_TIME
  return min(trusted and packed - TRUSTED_TIME or packed, now), trusted
end

local function packed_time(at, trusted)
  return trusted and at + TRUSTED_TIME or at
end

-- Reads format 1 of earlier builds, which knew no trusted calls: streak u8 | known_at u32 | slow_at u32
-- | not_before u48 | counts of sends, failures, live u8 each | sends: at u48, slot 20 | failures: at u48.
-- Its verifications have other keys and cannot be reached any more.
local function load_old_row(s, now)
  local _, failed, known_at, _, not_before, sends, failures, _, at = unpack('>BBI4I4I6BBB', s)
  local row = {
    untrusted_failures = failed, trusted_failures = 0, known_at = min(known_at * 1000, now),
    not_before = min(not_before, now + DAY), sends = {}, failures = {}, live = {}, requesters = {}, seats = {},
    refusals = {},
  }
  for i = 1, sends do
    local sent_at, slot
    sent_at, slot, at = unpack('>I6c20', s, at)
    row.sends[i] = {at = min(sent_at, now), trusted = false, slot = slot, state = 'a', ended = 'p', route = '',
                    code = ''}
  end
  for i = 1, failures do
    local failed_at
    failed_at, at = unpack('>I6', s, at)
    row.failures[i] = {at = min(failed_at, now), trusted = false}
  end
  return row
end

-- Returns nil where a newer version wrote it.
local function load_row(key, now)
  local s = redis.call('GET', key) or EMPTY_ROW
  if byte(s, 1) == 1 then return load_old_row(s, now) end
  local format, untrusted, trusted, known_at, not_before, sends, failures, lives, requesters, seats, refusals, at
    = unpack('>BBBI4I6BBBBBB', s)
  if format ~= 2 then return nil end
  local row = {
    untrusted_failures = untrusted, trusted_failures = trusted,
    known_at = min(known_at * 1000, now), not_before = min(not_before, now + DAY),
    sends = {}, failures = {}, live = {}, requesters = {}, seats = {}, refusals = {},
  }
  for i = 1, sends do
    local packed, slot, state, ended, route, code
    packed, slot, state, ended, route, code, at = unpack('>I6c20c1c1Bc0Bc0', s, at)
    local sent_at, is_trusted = read_time(packed, now)
    row.sends[i] = {at = sent_at, trusted = is_trusted, slot = slot, state = state, ended = ended,
                    route = route, code = code}
  end
  for i = 1, failures do
    local packed
    packed, at = unpack('>I6', s, at)
    local failed_at, is_trusted = read_time(packed, now)
    row.failures[i] = {at = failed_at, trusted = is_trusted}
  end
  for _ = 1, lives do
    local id, expires_at, attempts
    id, expires_at, attempts, at = unpack('>c7I6B', s, at)
    expires_at = min(expires_at, now + MAX_LIFE)
    -- As long as a step of the clock could make it live again, its attempts stay reserved.
    if expires_at + CLOCK_SLACK > now then
      row.live[#row.live + 1] = {id = id, expires_at = expires_at, trusted = attempts >= TRUSTED_ATTEMPTS,
                                 attempts = attempts % TRUSTED_ATTEMPTS}
    end
  end
  for _ = 1, requesters do
    local requester, verified_at
    requester, verified_at, at = unpack('>c12I4', s, at)
    if verified_at * 1000 > now - MEMORY then
      row.requesters[#row.requesters + 1] = {tag = requester, at = min(verified_at * 1000, now)}
    end
  end
  for i = 1, seats do
    local client, id, seated_at, guessed
    client, id, seated_at, guessed, at = unpack('>Bc0c7I4B', s, at)
    row.seats[i] = {client = client, id = id, at = min(seated_at * 1000, now), guessed = guessed == 1}
  end
  for i = 1, refusals do
    local packed, id, number, state, route, code
    packed, id, number, state, route, code, at = unpack('>I6c7Bc1Bc0Bc0', s, at)
    row.refusals[i] = {at = read_time(packed, now), id = id, number = number, state = state, route = route,
                       code = code}
  end
  return row
end

-- Was it verified lately? 1 or 0.
local function is_known(row, now)
  return row.known_at > 0 and row.known_at > now - MEMORY and 1 or 0
end

-- `asking` is what `store/encoding.py` writes: who asks 12 | 1 if a server knows the person's device or session.
-- Trusted is who verified this phone lately, and whose device or session is known.
local function read_asking(asking, row)
  local requester, trusted = sub(asking, 1, 12), byte(asking, 13) == 1
  if requester ~= NOBODY then
    for _, known in ipairs(row.requesters) do trusted = trusted or known.tag == requester end
  end
  return requester, trusted
end

local function remember_requester(row, requester, now)
  if requester == NOBODY then return end
  for i = #row.requesters, 1, -1 do
    if row.requesters[i].tag == requester then table.remove(row.requesters, i) end
  end
  table.insert(row.requesters, 1, {tag = requester, at = now})
  row.requesters[MAX_REQUESTERS + 1] = nil
end

local function find_live(row, verification)
  local id = short(verification)
  for i, live in ipairs(row.live) do
    if live.id == id then return live, i end
  end
end

local function end_live(row, verification)
  local _, i = find_live(row, verification)
  if i then table.remove(row.live, i) end
end

-- Until when a seat of the slow lane is taken: for a day once its code was guessed at, else while it can be.
local function seat_taken_until(row, seat)
  if seat.guessed then return seat.at + DAY end
  local live = find_live(row, seat.id)
  return live and live.expires_at + CLOCK_SLACK or 0
end

local function find_seat(row, verification)
  local id = short(verification)
  for i, seat in ipairs(row.seats) do
    if seat.id == id then return seat, i end
  end
end

local function prune(row, now)
  while row.sends[1] and row.sends[1].at <= now - DAY do table.remove(row.sends, 1) end
  while row.refusals[1] and (row.refusals[1].at <= now - DAY or #row.refusals > MAX_REFUSALS) do
    table.remove(row.refusals, 1)
  end
  local kept = row.untrusted_failures + row.trusted_failures > 0 and 1 or 0
  while #row.failures > kept and row.failures[1].at <= now - DAY do table.remove(row.failures, 1) end
  for i = #row.seats, 1, -1 do
    if seat_taken_until(row, row.seats[i]) <= now then table.remove(row.seats, i) end
  end
end

-- The row lives as long as anything in it can still matter; nil when nothing can.
local function row_end(row)
  local last = row.not_before
  if row.sends[1] then last = max(last, row.sends[#row.sends].at + DAY) end
  if row.refusals[1] then last = max(last, row.refusals[#row.refusals].at + DAY) end
  local failure = row.failures[#row.failures]
  if failure then
    last = max(last, failure.at + (row.untrusted_failures + row.trusted_failures > 0 and MEMORY or DAY))
  end
  if row.known_at > 0 then last = max(last, row.known_at + MEMORY) end
  for _, seat in ipairs(row.seats) do last = max(last, seat_taken_until(row, seat)) end
  for _, live in ipairs(row.live) do last = max(last, live.expires_at + CLOCK_SLACK) end
  return last
end

-- `char` refuses a count that does not fit.
local function packed_row(row)
  local s = pack('>BBBI4I6', 2, row.untrusted_failures, row.trusted_failures, floor(row.known_at / 1000),
                 row.not_before)
            .. char(#row.sends, #row.failures, #row.live, #row.requesters, #row.seats, #row.refusals)
  for _, send in ipairs(row.sends) do
    s = s .. pack('>I6c20c1c1Bc0Bc0', packed_time(send.at, send.trusted), send.slot, send.state, send.ended,
                  #send.route, send.route, #send.code, send.code)
  end
  for _, failure in ipairs(row.failures) do s = s .. pack('>I6', packed_time(failure.at, failure.trusted)) end
  for _, live in ipairs(row.live) do
    s = s .. pack('>c7I6B', live.id, live.expires_at, live.attempts + (live.trusted and TRUSTED_ATTEMPTS or 0))
  end
  for _, requester in ipairs(row.requesters) do
    s = s .. pack('>c12I4', requester.tag, floor(requester.at / 1000))
  end
  for _, seat in ipairs(row.seats) do
    s = s .. pack('>Bc0c7I4B', #seat.client, seat.client, seat.id, floor(seat.at / 1000), seat.guessed and 1 or 0)
  end
  for _, refusal in ipairs(row.refusals) do
    s = s .. pack('>I6c7Bc1Bc0Bc0', refusal.at, refusal.id, refusal.number, refusal.state, #refusal.route,
                  refusal.route, #refusal.code, refusal.code)
  end
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

local function add_send(row, slot, trusted, now)
  row.sends[#row.sends + 1] = {at = now, trusted = trusted, slot = slot, state = 's', ended = 'p', route = '',
                               code = ''}
end

-- A send is found by whose it is, whoever asked for it.
local function find_send(row, verification, number)
  local whose = short(verification) .. char(number)
  for i, send in ipairs(row.sends) do
    if sub(send.slot, 13) == whose then return send, i end
  end
end

-- Was the verification opened by this requester?
local function is_opened_by(row, verification, requester)
  local first = find_send(row, verification, 1)
  return first ~= nil and requester ~= NOBODY and sub(first.slot, 1, 12) == requester
end

-- Notes on its first send how a verification ended.
local function note_end(row, verification, state)
  local first = find_send(row, verification, 1)
  if first then first.ended = state end
end
