#!lua
-- include: packing phone_state verification phone_rules reply
-- Records the result of a send. The send is found by its number, not by its time, so this may happen at any time.
-- KEYS: phone state, verification
-- ARGV: limits, requester, verification hash, number, disposition, route, ms to wait, ms to live, provider code
local now = clock()
local phone, record = load_phone(KEYS[1], now), load_verification(KEYS[2])
if not phone or record == false then return {'format'} end
local limits, verification_hash, number, disposition = read_limits(ARGV[1]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local requester, trusted = read_requester(ARGV[2], phone)
local counted, place = find_send(phone, verification_hash, number)
local send = record and record.sends[number]
local pending = record and record.state == 'p'
local route, code = sub(ARGV[6], 1, 255), sub(ARGV[9], 1, 255)

-- States only move forward: a delivery that was already reported stays. The report does not know the route.
local function set_send_state(state)
  if not send then return end
  send.route = route
  if send.state == 's' or send.state == 'u' then send.state = state end
end

local function set_counted_state(state)
  if not counted then return end
  counted.route = route
  if counted.state == 's' or counted.state == 'u' then counted.state, counted.code = state, code end
end

-- Nothing was sent, so the send no longer counts. A provider's refusal is kept for the operator.
local function release_send(state)
  if not counted then return end
  table.remove(phone.sends, place)
  if route == '' then return end
  phone.refusals[#phone.refusals + 1] = {at = now, id = short(verification_hash), number = number, state = state,
                                     route = route, code = code}
end

if disposition == 'accepted' or disposition == 'unknown' then
  local state = disposition == 'accepted' and 'a' or 'u'
  set_send_state(state)
  set_counted_state(state)
  -- The cooldown starts now. If it started at the reservation, the next send could fall into the same clock minute
  -- of the provider.
  if counted then
    table.remove(phone.sends, place)
    counted.at = now
    phone.sends[#phone.sends + 1] = counted
  end
  if pending and number > 1 then
    local expires_at = min(now + ARGV[8], record.issued_at + MAX_VERIFICATION_LIFETIME)
    record.expires_at = max(record.expires_at, expires_at)
    local open = find_open(phone, verification_hash)
    if open then open.expires_at = record.expires_at end
  end
elseif disposition == 'rejected' then
  set_send_state('r')
  set_counted_state('j')
  if pending then
    record.state = 'c'
    remove_open(phone, verification_hash)
    set_ended(phone, verification_hash, 'c')
  end
else
  set_send_state('r')
  release_send(disposition == 'throttled' and 't' or 'w')
  -- No code arrived, so this does not use up the one verification a day of restricted mode.
  local _, entry = find_restricted(phone, verification_hash)
  if entry and number == 1 then table.remove(phone.restricted_verifications, entry) end
  if disposition == 'throttled' then
    phone.provider_blocked_until = max(phone.provider_blocked_until, now + ARGV[7])
  elseif pending and number == 1 then
    -- Nothing was sent and no caller knows the verification, so it is removed.
    remove_open(phone, verification_hash)
    redis.call('DEL', KEYS[2])
    record = nil
  end
  if pending and number > 1 then
    -- The resend is not counted and does not extend the lifetime.
    if number == #record.sends then table.remove(record.sends) end
    local open = find_open(phone, verification_hash)
    if open then open.expires_at = record.expires_at end
  end
end
save_phone(KEYS[1], phone, now)
if not record then return {'gone'} end
save_verification(KEYS[2], record, now)
local sends_left, resend_at = resend_facts(record, phone, limits, requester, trusted, now)
return verification_reply(record, now, sends_left, resend_at)
