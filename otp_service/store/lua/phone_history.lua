#!lua flags=no-writes
-- needs: bytes row
-- The sends of the last day, oldest first, with what became of them. KEYS: row
-- Each: short tag of the verification, number, at, state, how the verification ended (1: it is open), route, code
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local sends = {}
for _, send in ipairs(row.sends) do
  local id = sub(send.slot, 13, 19)
  local live = find_live(row, id)
  local ended = live and live.expires_at > now and '1' or send.ended
  sends[#sends + 1] = {id, byte(send.slot, 20), send.at, send.state, ended, send.route, send.code}
end
for _, refusal in ipairs(row.refusals) do
  sends[#sends + 1] = {refusal.id, refusal.number, refusal.at, refusal.state, '', refusal.route, refusal.code}
end
table.sort(sends, function(a, b) return a[3] < b[3] end)
return {'ok', now, sends}
