#!lua
-- include: packing phone_state verification
-- Cancels a pending verification; canceling a canceled one changes nothing.
-- KEYS: phone state, verification
-- ARGV: verification hash, client, requester, 1 if only the requester that opened it may reach it
local now = clock()
local record = load_verification(KEYS[2])
if not belongs_to(record, ARGV[2]) then return record == false and {'format'} or {'verification_not_found'} end
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
if ARGV[4] == '1' and not is_opened_by(phone, ARGV[1], (read_requester(ARGV[3], phone))) then
  return {'verification_not_found'}
end
local why = end_reason(record, now)
if why == 'verification_canceled' then return {'ok'} end
if why then return {why} end
record.state = 'c'
remove_open(phone, ARGV[1])
set_ended(phone, ARGV[1], 'c')
save_verification(KEYS[2], record, now)
save_phone(KEYS[1], phone, now)
return {'ok'}
