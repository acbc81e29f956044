#!lua flags=no-writes
-- include: packing phone_state phone_rules
-- Pre-check of a request: may this phone get an SMS for a new verification now?
-- KEYS: phone state   ARGV: limits, requester, client, attempts
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local requester, trusted = read_requester(ARGV[2], phone)
local limits, attempts = read_limits(ARGV[1]), tonumber(ARGV[4])
local result, _, restricted = open_verdict(phone, limits, requester, trusted, ARGV[3], attempts, now)
return refusal_reply(result, now) or {'ok', is_known(phone, now), restricted and 1 or 0, trusted and 1 or 0}
