#!lua
-- include: packing phone_state
-- Erases a phone's sends, its failures and the provider's window. Open verifications stay. KEYS: phone state
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
phone.sends, phone.failures, phone.restricted_verifications, phone.refusals = {}, {}, {}, {}
phone.untrusted_failures, phone.trusted_failures, phone.provider_blocked_until = 0, 0, 0
save_phone(KEYS[1], phone, now)
return {'ok'}
