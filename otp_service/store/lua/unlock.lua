#!lua
-- include: packing phone_state
-- Erases the failures of a phone. Its sends stay counted. KEYS: phone state
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
phone.untrusted_failures, phone.trusted_failures, phone.restricted_verifications, phone.failures = 0, 0, {}, {}
save_phone(KEYS[1], phone, now)
return {'ok'}
