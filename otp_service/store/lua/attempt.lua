#!lua
-- needs: bytes row record
-- Counts one attempt, then compares. Digests are keyed, so the time of `==` tells a guesser nothing.
-- No lock of the phone is looked at: nobody can stop a verification that its holder already has.
-- KEYS: row, record
-- ARGV: verification_id, client, code types that the text could be, then pairs of kid and digest
local now = clock()
local record = load_record(KEYS[2])
local verification_id = ARGV[1]
local why = ended(record, ARGV[2], now)
if why then return {why} end
if not string.find(ARGV[3], record.code_type, 1, true) then return {'invalid_code'} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end

local right = false
for i = 4, #ARGV, 2 do
  right = right or (ARGV[i] == record.kid and ARGV[i + 1] == record.digest)
end
record.attempts_left = record.attempts_left - 1
if right then
  record.state = 'a'
  row.streak, row.known_at = 0, now
  end_live(row, verification_id)
else
  row.streak = math.min(row.streak + 1, 255)
  table.insert(row.failures, now)
  local live = find_live(row, verification_id)
  if live then live.attempts = record.attempts_left end
  if record.attempts_left == 0 then
    record.state = 'x'
    end_live(row, verification_id)
  end
end
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
if right then return {'ok', record.purpose} end
return {'wrong_code', record.attempts_left}
