#!lua
-- include: packing phone_state verification phone_rules reply
-- Creates a verification and reserves its first send: both, or neither.
-- KEYS: phone state, verification
-- ARGV: limits, requester, verification hash, client, purpose, code type, key id, salt, digest, ms to live,
--       attempts, sends
-- A length is packed into one byte; packing would silently drop what does not fit.
for i = 4, 9 do
  if #ARGV[i] > 255 then return {'format'} end
end
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'exists'} end
local limits, verification_hash, client = read_limits(ARGV[1]), ARGV[3], ARGV[4]
local requester, trusted = read_requester(ARGV[2], phone)
local result, attempts, restricted = open_verdict(phone, limits, requester, trusted, client, tonumber(ARGV[11]), now)
local refusal = refusal_reply(result, now)
if refusal then return refusal end

local record = {
  state = 'p', code_type = ARGV[6], attempts_left = attempts, attempts_allowed = attempts,
  sends_allowed = tonumber(ARGV[12]),
  issued_at = now, expires_at = now + ARGV[10], kid = ARGV[7], client = client, purpose = ARGV[5],
  salt = ARGV[8], digest = ARGV[9], sends = {{state = 's', at = now, route = ''}}, approval = '',
}
add_send(phone, send_reference(requester, verification_hash, 1), trusted, now)
local id = short(verification_hash)
table.insert(phone.open_verifications,
             {id = id, expires_at = record.expires_at, attempts = attempts, trusted = trusted})
if restricted then
  table.insert(phone.restricted_verifications,
               {client = restricted_owner(client, trusted), id = id, at = now, has_failed = false})
end
local sends_left, resend_at = resend_facts(record, phone, limits, requester, trusted, now)
save_verification(KEYS[2], record, now)
save_phone(KEYS[1], phone, now)
return verification_reply(record, now, sends_left, resend_at)
