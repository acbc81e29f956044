#!lua
-- include: packing phone_state
-- Forgets the failures of a phone; what it was sent stays counted. KEYS: row
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
phone.untrusted_failures, phone.trusted_failures, phone.restricted_verifications, phone.failures = 0, 0, {}, {}
save_phone(KEYS[1], phone, now)
return {'ok'}
