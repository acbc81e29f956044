#!lua
-- needs: bytes row record rules answer
-- Opens a verification and takes its first send slot: both, or neither.
-- KEYS: row, record
-- ARGV: limits, asking, verification, client, purpose, code type, kid, salt, digest, ttl ms,
--       attempts, sends
-- A length is kept in a byte, and packing would only drop what does not fit.
for i = 4, 9 do
  if #ARGV[i] > 255 then return {'format'} end
end
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'exists'} end
local limits, verification, client = read_limits(ARGV[1]), ARGV[3], ARGV[4]
local requester, trusted = read_asking(ARGV[2], row)
local result, attempts, slow = open_verdict(row, limits, requester, trusted, client, tonumber(ARGV[11]), now)
local refusal = refused(result, now)
if refusal then return refusal end

local record = {
  state = 'p', code_type = ARGV[6], attempts_left = attempts, attempts_allowed = attempts,
  sends_allowed = tonumber(ARGV[12]),
  issued_at = now, expires_at = now + ARGV[10], kid = ARGV[7], client = client, purpose = ARGV[5],
  salt = ARGV[8], digest = ARGV[9], sends = {{state = 's', at = now, route = ''}}, approval = '',
}
add_send(row, slot_of(requester, verification, 1), trusted, now)
table.insert(row.live, {id = short(verification), expires_at = record.expires_at, attempts = attempts,
                        trusted = trusted})
if slow then
  table.insert(row.seats, {client = seat_owner(client, trusted), id = short(verification), at = now, guessed = false})
end
local sends_left, resend_at = resend_facts(record, row, limits, requester, trusted, now)
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
return answer(record, now, sends_left, resend_at)
