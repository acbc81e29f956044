#!lua flags=no-writes
-- include: packing phone_state verification phone_rules reply
-- Returns a verification. A lookup that finds none takes equally long for all phones.
-- KEYS: phone state, verification
-- ARGV: limits, requester, verification hash, client, 1 if only the requester that opened it may reach it
local now = clock()
local record = load_verification(KEYS[2])
if not belongs_to(record, ARGV[4]) then return record == false and {'format'} or {'verification_not_found'} end
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local requester, trusted = read_requester(ARGV[2], phone)
if ARGV[5] == '1' and not is_opened_by(phone, ARGV[3], requester) then return {'verification_not_found'} end
local sends_left, resend_at = resend_facts(record, phone, read_limits(ARGV[1]), requester, trusted, now)
return verification_reply(record, now, sends_left, resend_at)
