#!lua
-- needs: bytes record
-- What became of a send, told by somebody who knows. Nothing else of the verification changes.
-- KEYS: record   ARGV: number, state (a d n), reason
local RANK = {s = 0, u = 1, a = 2, r = 2, d = 3, n = 3}
local now = clock()
local record = load_record(KEYS[1])
if record == false then return {'format'} end
local send = record and record.sends[tonumber(ARGV[1])]
if not send then return {'gone'} end
local moved = RANK[ARGV[2]] > RANK[send.state]
if moved then
  send.state, send.reason = ARGV[2], ARGV[3]
  save_record(KEYS[1], record, now)
end
return {'ok', moved and 1 or 0, record.client, record.purpose, send.route}
