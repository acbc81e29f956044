#!lua flags=no-writes
-- include: packing phone_state verification phone_rules
-- Pre-check of a resend: may this phone get another SMS for this verification now?
-- Also returns the newest send, because a send of unknown outcome must be looked up first.
-- KEYS: phone state, verification
-- ARGV: limits, requester, verification hash, client, 1 if only the requester that opened it may reach it
local now = clock()
local record = load_verification(KEYS[2])
if not belongs_to(record, ARGV[4]) then return record == false and {'format'} or {'verification_not_found'} end
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local requester, trusted = read_requester(ARGV[2], phone)
if ARGV[5] == '1' and not is_opened_by(phone, ARGV[3], requester) then return {'verification_not_found'} end
local why = end_reason(record, now)
if why then return {why} end
local refusal = refusal_reply(send_verdict(phone, read_limits(ARGV[1]), requester, trusted, now), now)
if refusal then return refusal end
local reply, last = {'ok', is_known(phone, now), 0, trusted and 1 or 0}, record.sends[#record.sends]
if last then
  for _, fact in ipairs({now, record.purpose, #record.sends, last.state, last.at, last.route}) do
    reply[#reply + 1] = fact
  end
end
return reply
