#!lua
-- needs: bytes row record
-- Counts one attempt, then compares. Digests are keyed, so the time of `==` tells a guesser nothing.
-- No lock of the phone is looked at: nobody can stop a verification that its holder already has.
-- KEYS: row, record
-- ARGV: verification_id, client, code types that the text could be, which call this is ('' if it is never
--       repeated), its time in ms, then pairs of kid and digest
local now = clock()
local record = load_record(KEYS[2])
local verification_id, call = ARGV[1], ARGV[4]
if record and record.client == ARGV[2] and record.state == 'a' then
  local by, approved_at = unpack('>Bc0I6', record.approval)
  if call ~= '' and by == call then
    -- The very call that approved it, whose answer was lost on the way. Written again, so that who waits for
    -- replicas waits for this.
    save_record(KEYS[2], record, now)
    return {'ok', record.purpose, 0, approved_at, 1, 0, ''}
  end
end
local why = ended(record, ARGV[2], now)
if why then return {why} end
if not string.find(ARGV[3], record.code_type, 1, true) then return {'invalid_code'} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end

local right = false
for i = 6, #ARGV, 2 do
  right = right or (ARGV[i] == record.kid and ARGV[i + 1] == record.digest)
end
record.attempts_left = record.attempts_left - 1
if right then
  record.state, record.approval = 'a', pack('>Bc0I6', #call, call, ARGV[5])
  row.streak, row.known_at = 0, now
  end_live(row, verification_id)
else
  row.streak = min(row.streak + 1, 255)
  row.failures[#row.failures + 1] = now
  local live = find_live(row, verification_id)
  if live then live.attempts = record.attempts_left end
  if record.attempts_left == 0 then
    record.state = 'x'
    end_live(row, verification_id)
  end
end
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
local wrong = record.attempts_allowed - record.attempts_left - 1
local route = #record.sends > 0 and record.sends[#record.sends].route or ''
if right then
  return {'ok', record.purpose, wrong, tonumber(ARGV[5]), 0, max(0, now - record.issued_at), route}
end
return {'wrong_code', record.attempts_left}
