#!lua
-- needs: bytes row record
-- Counts one attempt, then compares. Digests are keyed, so the time of `==` tells a guesser nothing.
-- No lock of the phone is looked at: nobody can stop a verification that its holder already has.
-- KEYS: row, record
-- ARGV: verification, client, asking, 1 if only who opened it may reach it, code types that the text could be,
--       which call this is ('' if it is never repeated), its time in ms, then pairs of kid and digest
local now = clock()
local record = load_record(KEYS[2])
local verification, client, call, at = ARGV[1], ARGV[2], ARGV[6], ARGV[7]
if not is_of(record, client) then return record == false and {'format'} or {'verification_not_found'} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local requester = read_asking(ARGV[3], row)
if ARGV[4] == '1' and not is_opened_by(row, verification, requester) then return {'verification_not_found'} end
if record.state == 'a' then
  local by, approved_at = unpack('>Bc0I6', record.approval)
  if call ~= '' and by == call then
    -- The very call that approved it, whose answer was lost on the way. Written again, so that who waits for
    -- replicas waits for this.
    save_record(KEYS[2], record, now)
    return {'ok', record.purpose, 0, approved_at, 1, 0, ''}
  end
end
local why = ended(record, client, now)
if why then return {why} end
if not string.find(ARGV[5], record.code_type, 1, true) then return {'invalid_code'} end

local right = false
for i = 8, #ARGV, 2 do
  right = right or (ARGV[i] == record.kid and ARGV[i + 1] == record.digest)
end
record.attempts_left = record.attempts_left - 1
if right then
  record.state, record.approval = 'a', pack('>Bc0I6', #call, call, at)
  row.untrusted_failures, row.trusted_failures, row.seats, row.known_at = 0, 0, {}, now
  local first = find_send(row, verification, 1)
  -- A server may name the address when it asks for the code only.
  if requester == NOBODY and first then requester = sub(first.slot, 1, 12) end
  remember_requester(row, requester, now)
  end_live(row, verification)
else
  local live, seat = find_live(row, verification), find_seat(row, verification)
  local trusted = live ~= nil and live.trusted
  if trusted then
    row.trusted_failures = min(row.trusted_failures + 1, 255)
  else
    row.untrusted_failures = min(row.untrusted_failures + 1, 255)
  end
  row.failures[#row.failures + 1] = {at = now, trusted = trusted}
  if live then live.attempts = record.attempts_left end
  if seat then seat.guessed = true end
  if record.attempts_left == 0 then
    record.state = 'x'
    end_live(row, verification)
  end
end
if record.state ~= 'p' then note_end(row, verification, record.state) end
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
local wrong = record.attempts_allowed - record.attempts_left - 1
local route = #record.sends > 0 and record.sends[#record.sends].route or ''
if right then
  return {'ok', record.purpose, wrong, tonumber(at), 0, max(0, now - record.issued_at), route}
end
return {'wrong_code', record.attempts_left}
