-- The state of a phone, which outlives its verifications, `otp:{<phone hash>}`. Times in ms unless noted otherwise.
--   format u8 = 2 | failures since the last success, in untrusted and in trusted calls, u8 each
--   last_approved_at u32 s | provider_blocked_until u48: end of the provider's window
--   counts of the following lists, u8 each
--   sends:      at u48 | reference 20: requester 12 (zero: unknown), short hash of the verification 7, number u8
--               | state u8: s sending, u unknown, a accepted, j rejected, d delivered, n undelivered
--               | ended u8, of send 1: the state of its verification, p pending, a approved, x exhausted, c canceled
--               | route: length u8 and bytes | provider code: length u8 and bytes
--   failures:   at u48
--   open_verifications: short hash 7 | expires_at u48 | reserved attempts u8
--   requesters: the last that verified this phone, newest first: 12 bytes | at u32 s
--   restricted_verifications, those created in restricted mode: client, empty for trusted calls: length u8 and bytes
--               | short hash 7 | at u32 s | has_failed u8: 1 after a wrong code
--   refusals:   sends that were not made and do not count, for `otp-service history`: at u48 | short hash 7
--               | number u8 | state u8: w not sent, t rate limited | route: length u8 and bytes
--               | provider code: length u8 and bytes
-- A send or failure of a trusted call has bit 47 of its time set, the attempts of its verification bit 7.
-- Sends and failures ascend in time. Old ones are dropped on writing. The newest failure stays as long as failures
-- are counted, because the state lives for 90 days after it.
local HOUR, DAY = 3600000, 86400000
local NO_REQUESTER = '\0\0\0\0\0\0\0\0\0\0\0\0'
local EMPTY_PHONE = '\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local TRUSTED_TIME, TRUSTED_ATTEMPTS = 140737488355328, 128
local MAX_REQUESTERS, MAX_REFUSALS = 3, 10

local function short(verification_hash)
  return sub(verification_hash, 1, 7)
end

local function send_reference(requester, verification_hash, number)
  return requester .. short(verification_hash) .. char(number)
end

-- If the clock stepped back, times lie in the future. They are treated as now, so that they expire.
local function read_time(packed, now)
  local trusted = packed >= TRUSTED_TIME
  return min(trusted and packed - TRUSTED_TIME or packed, now), trusted
end

local function packed_time(at, trusted)
  return trusted and at + TRUSTED_TIME or at
end

-- Reads format 1, which had no trusted calls: consecutive failures u8 | last_approved_at u32 | restricted_since u32
-- | provider_blocked_until u48 | counts of sends, failures, open verifications u8 each | sends: at u48, reference 20
-- | failures: at u48. Its verifications have other keys and can no longer be reached.
local function load_old_phone(s, now)
  local _, failed, last_approved_at, _, provider_blocked_until, sends, failures, _, at = unpack('>BBI4I4I6BBB', s)
  local phone = {
    untrusted_failures = failed, trusted_failures = 0,
    last_approved_at = min(last_approved_at * 1000, now),
    provider_blocked_until = min(provider_blocked_until, now + DAY),
    sends = {}, failures = {}, open_verifications = {}, requesters = {}, restricted_verifications = {}, refusals = {},
  }
  for i = 1, sends do
    local sent_at, reference
    sent_at, reference, at = unpack('>I6c20', s, at)
    phone.sends[i] = {at = min(sent_at, now), trusted = false, reference = reference, state = 'a', ended = 'p',
                      route = '', code = ''}
  end
  for i = 1, failures do
    local failed_at
    failed_at, at = unpack('>I6', s, at)
    phone.failures[i] = {at = min(failed_at, now), trusted = false}
  end
  return phone
end

-- Returns nil if a newer version wrote the state.
local function load_phone(key, now)
  local s = redis.call('GET', key) or EMPTY_PHONE
  if byte(s, 1) == 1 then return load_old_phone(s, now) end
  local format, untrusted, trusted, last_approved_at, provider_blocked_until, at = unpack('>BBBI4I6', s)
  if format ~= 2 then return nil end
  local sends, failures, open_count, requesters, restricted_count, refusals
  sends, failures, open_count, requesters, restricted_count, refusals, at = unpack('BBBBBB', s, at)
  local phone = {
    untrusted_failures = untrusted, trusted_failures = trusted,
    last_approved_at = min(last_approved_at * 1000, now),
    provider_blocked_until = min(provider_blocked_until, now + DAY),
    sends = {}, failures = {}, open_verifications = {}, requesters = {}, restricted_verifications = {}, refusals = {},
  }
  for i = 1, sends do
    local packed, reference, state, ended, route, code
    packed, reference, state, ended, route, code, at = unpack('>I6c20c1c1Bc0Bc0', s, at)
    local sent_at, is_trusted = read_time(packed, now)
    phone.sends[i] = {at = sent_at, trusted = is_trusted, reference = reference, state = state, ended = ended,
                    route = route, code = code}
  end
  for i = 1, failures do
    local packed
    packed, at = unpack('>I6', s, at)
    local failed_at, is_trusted = read_time(packed, now)
    phone.failures[i] = {at = failed_at, trusted = is_trusted}
  end
  for _ = 1, open_count do
    local id, expires_at, attempts
    id, expires_at, attempts, at = unpack('>c7I6B', s, at)
    expires_at = min(expires_at, now + MAX_VERIFICATION_LIFETIME)
    -- Attempts stay reserved as long as the clock could step back and reopen the verification.
    if expires_at + CLOCK_SLACK > now then
      table.insert(phone.open_verifications,
                   {id = id, expires_at = expires_at, trusted = attempts >= TRUSTED_ATTEMPTS,
                    attempts = attempts % TRUSTED_ATTEMPTS})
    end
  end
  for _ = 1, requesters do
    local requester, verified_at
    requester, verified_at, at = unpack('>c12I4', s, at)
    if verified_at * 1000 > now - PHONE_RETENTION then
      phone.requesters[#phone.requesters + 1] = {hash = requester, at = min(verified_at * 1000, now)}
    end
  end
  for i = 1, restricted_count do
    local client, id, opened_at, has_failed
    client, id, opened_at, has_failed, at = unpack('>Bc0c7I4B', s, at)
    phone.restricted_verifications[i] = {client = client, id = id, at = min(opened_at * 1000, now),
                                         has_failed = has_failed == 1}
  end
  for i = 1, refusals do
    local packed, id, number, state, route, code
    packed, id, number, state, route, code, at = unpack('>I6c7Bc1Bc0Bc0', s, at)
    phone.refusals[i] = {at = read_time(packed, now), id = id, number = number, state = state, route = route,
                       code = code}
  end
  return phone
end

-- Returns 1 if the phone was verified recently, else 0.
local function is_known(phone, now)
  return phone.last_approved_at > 0 and phone.last_approved_at > now - PHONE_RETENTION and 1 or 0
end

-- `packed` comes from `encoding.requester`: requester 12 | 1 if the client's server knows the device or session.
-- A call is trusted if its requester verified this phone recently, or if the device or session is known.
-- Returns the requester, and whether the call is trusted.
local function read_requester(packed, phone)
  local requester, trusted = sub(packed, 1, 12), byte(packed, 13) == 1
  if requester ~= NO_REQUESTER then
    for _, known in ipairs(phone.requesters) do trusted = trusted or known.hash == requester end
  end
  return requester, trusted
end

local function remember_requester(phone, requester, now)
  if requester == NO_REQUESTER then return end
  for i = #phone.requesters, 1, -1 do
    if phone.requesters[i].hash == requester then table.remove(phone.requesters, i) end
  end
  table.insert(phone.requesters, 1, {hash = requester, at = now})
  phone.requesters[MAX_REQUESTERS + 1] = nil
end

local function find_open(phone, verification_hash)
  local id = short(verification_hash)
  for i, open in ipairs(phone.open_verifications) do
    if open.id == id then return open, i end
  end
end

local function remove_open(phone, verification_hash)
  local _, i = find_open(phone, verification_hash)
  if i then table.remove(phone.open_verifications, i) end
end

-- Returns until when a verification of restricted mode blocks the next one: for a day after a wrong code, otherwise
-- while it is open.
local function restricted_until(phone, entry)
  if entry.has_failed then return entry.at + DAY end
  local open = find_open(phone, entry.id)
  return open and open.expires_at + CLOCK_SLACK or 0
end

local function find_restricted(phone, verification_hash)
  local id = short(verification_hash)
  for i, entry in ipairs(phone.restricted_verifications) do
    if entry.id == id then return entry, i end
  end
end

local function prune(phone, now)
  while phone.sends[1] and phone.sends[1].at <= now - DAY do table.remove(phone.sends, 1) end
  while phone.refusals[1] and (phone.refusals[1].at <= now - DAY or #phone.refusals > MAX_REFUSALS) do
    table.remove(phone.refusals, 1)
  end
  local kept = phone.untrusted_failures + phone.trusted_failures > 0 and 1 or 0
  while #phone.failures > kept and phone.failures[1].at <= now - DAY do table.remove(phone.failures, 1) end
  local restricted = phone.restricted_verifications
  for i = #restricted, 1, -1 do
    if restricted_until(phone, restricted[i]) <= now then table.remove(restricted, i) end
  end
end

-- The state lives as long as anything in it can still matter.
local function phone_expires_at(phone)
  local last = phone.provider_blocked_until
  if phone.sends[1] then last = max(last, phone.sends[#phone.sends].at + DAY) end
  if phone.refusals[1] then last = max(last, phone.refusals[#phone.refusals].at + DAY) end
  local failure = phone.failures[#phone.failures]
  if failure then
    last = max(last, failure.at + (phone.untrusted_failures + phone.trusted_failures > 0 and PHONE_RETENTION or DAY))
  end
  if phone.last_approved_at > 0 then last = max(last, phone.last_approved_at + PHONE_RETENTION) end
  for _, entry in ipairs(phone.restricted_verifications) do last = max(last, restricted_until(phone, entry)) end
  for _, open in ipairs(phone.open_verifications) do last = max(last, open.expires_at + CLOCK_SLACK) end
  return last
end

-- `char` raises an error for a count above 255.
local function packed_phone(phone)
  local s = pack('>BBBI4I6', 2, phone.untrusted_failures, phone.trusted_failures, floor(phone.last_approved_at / 1000),
                 phone.provider_blocked_until)
            .. char(#phone.sends, #phone.failures, #phone.open_verifications, #phone.requesters,
                    #phone.restricted_verifications, #phone.refusals)
  for _, send in ipairs(phone.sends) do
    s = s .. pack('>I6c20c1c1Bc0Bc0', packed_time(send.at, send.trusted), send.reference, send.state, send.ended,
                  #send.route, send.route, #send.code, send.code)
  end
  for _, failure in ipairs(phone.failures) do s = s .. pack('>I6', packed_time(failure.at, failure.trusted)) end
  for _, open in ipairs(phone.open_verifications) do
    s = s .. pack('>c7I6B', open.id, open.expires_at, open.attempts + (open.trusted and TRUSTED_ATTEMPTS or 0))
  end
  for _, requester in ipairs(phone.requesters) do
    s = s .. pack('>c12I4', requester.hash, floor(requester.at / 1000))
  end
  for _, entry in ipairs(phone.restricted_verifications) do
    s = s .. pack('>Bc0c7I4B', #entry.client, entry.client, entry.id, floor(entry.at / 1000),
                  entry.has_failed and 1 or 0)
  end
  for _, refusal in ipairs(phone.refusals) do
    s = s .. pack('>I6c7Bc1Bc0Bc0', refusal.at, refusal.id, refusal.number, refusal.state, #refusal.route,
                  refusal.route, #refusal.code, refusal.code)
  end
  return s
end

local function save_phone(key, phone, now)
  prune(phone, now)
  local left = phone_expires_at(phone) - now
  if left > 0 then
    redis.call('SET', key, packed_phone(phone), 'PX', left)
  else
    redis.call('DEL', key)
  end
end

local function add_send(phone, reference, trusted, now)
  phone.sends[#phone.sends + 1] = {at = now, trusted = trusted, reference = reference, state = 's', ended = 'p',
                                   route = '', code = ''}
end

-- A send is found by its verification and number; the requester does not matter.
local function find_send(phone, verification_hash, number)
  local whose = short(verification_hash) .. char(number)
  for i, send in ipairs(phone.sends) do
    if sub(send.reference, 13) == whose then return send, i end
  end
end

-- Returns whether the verification was opened by this requester.
local function is_opened_by(phone, verification_hash, requester)
  local first = find_send(phone, verification_hash, 1)
  return first ~= nil and requester ~= NO_REQUESTER and sub(first.reference, 1, 12) == requester
end

-- Records on the first send how its verification ended.
local function set_ended(phone, verification_hash, state)
  local first = find_send(phone, verification_hash, 1)
  if first then first.ended = state end
end
