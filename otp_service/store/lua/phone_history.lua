#!lua flags=no-writes
-- include: packing phone_state
-- Returns the sends of the last day and their outcomes, oldest first. KEYS: phone state
-- Each: short hash of the verification, number, time, state, how the verification ended (1: it is open), route, code
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local sends = {}
for _, send in ipairs(phone.sends) do
  local id = sub(send.reference, 13, 19)
  local open = find_open(phone, id)
  local ended = open and open.expires_at > now and '1' or send.ended
  sends[#sends + 1] = {id, byte(send.reference, 20), send.at, send.state, ended, send.route, send.code}
end
for _, refusal in ipairs(phone.refusals) do
  sends[#sends + 1] = {refusal.id, refusal.number, refusal.at, refusal.state, '', refusal.route, refusal.code}
end
table.sort(sends, function(a, b) return a[3] < b[3] end)
return {'ok', now, sends}
