#!lua
-- include: packing phone_state verification phone_rules reply
-- Reserves another send of a pending verification. Its attempts do not change.
-- KEYS: phone state, verification   ARGV: limits, requester, verification hash, client, ms to live
local now = clock()
local record = load_verification(KEYS[2])
if not belongs_to(record, ARGV[4]) then return record == false and {'format'} or {'verification_not_found'} end
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local limits, verification_hash = read_limits(ARGV[1]), ARGV[3]
local requester, trusted = read_requester(ARGV[2], phone)
local why = end_reason(record, now)
if why then return {why} end
local expires_at = min(now + ARGV[5], record.issued_at + MAX_VERIFICATION_LIFETIME)
if expires_at - now < min(MIN_LIFETIME_AFTER_RESEND, tonumber(ARGV[5])) then return {'verification_expired'} end
if #record.sends >= record.sends_allowed then
  return {'refused', 'verification_sends', record.expires_at - now}
end
local refusal = refusal_reply(send_verdict(phone, limits, requester, trusted, now), now)
if refusal then return refusal end

table.insert(record.sends, {state = 's', at = now, route = ''})
add_send(phone, send_reference(requester, verification_hash, #record.sends), trusted, now)
-- The attempts stay reserved for the lifetime after this send. The record gets that lifetime once the SMS was sent.
local open = find_open(phone, verification_hash)
if open then open.expires_at = max(open.expires_at, expires_at) end
local sends_left, resend_at = resend_facts(record, phone, limits, requester, trusted, now)
save_verification(KEYS[2], record, now)
save_phone(KEYS[1], phone, now)
local reply = verification_reply(record, now, sends_left, resend_at)
reply[#reply + 1] = record.kid
reply[#reply + 1] = record.salt
return reply
