#!lua
-- include: packing phone_state verification
-- Records the delivery of a send, as reported by the provider. Nothing else of the verification changes.
-- KEYS: phone state, verification   ARGV: verification hash, number, state (a d n), reason
local RANK = {s = 0, u = 1, a = 2, r = 2, d = 3, n = 3}
local now = clock()
local phone, record = load_phone(KEYS[1], now), load_verification(KEYS[2])
if not phone or record == false then return {'format'} end
local number, state, reason = tonumber(ARGV[2]), ARGV[3], sub(ARGV[4], 1, 255)
local counted = find_send(phone, ARGV[1], number)
-- The phone state keeps sends for a day, longer than the verification exists.
if counted and RANK[state] > (RANK[counted.state] or 3) then
  counted.state, counted.code = state, state == 'n' and reason or ''
  save_phone(KEYS[1], phone, now)
end
local send = record and record.sends[number]
if not send then return {'gone'} end
local changed = RANK[state] > RANK[send.state]
if changed then
  send.state, send.reason = state, reason
  save_verification(KEYS[2], record, now)
end
return {'ok', changed and 1 or 0, record.client, record.purpose, send.route}
