#!lua
-- needs: bytes row record rules answer
-- Opens a verification and takes its first send slot: both, or neither.
-- KEYS: row, record
-- ARGV: limits, requester, verification_id, client, purpose, code type, kid, salt, digest, ttl ms,
--       attempts, sends
-- A length is kept in a byte, and packing would only drop what does not fit.
for i = 4, 9 do
  if #ARGV[i] > 255 then return {'format'} end
end
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'exists'} end
local limits, requester, verification_id = read_limits(ARGV[1]), ARGV[2], ARGV[3]
local result, attempts, slow = open_verdict(row, limits, requester, tonumber(ARGV[11]), now)
local refusal = refused(result, now)
if refusal then return refusal end

local record = {
  state = 'p', code_type = ARGV[6], attempts_left = attempts, attempts_allowed = attempts,
  sends_allowed = tonumber(ARGV[12]),
  issued_at = now, expires_at = now + ARGV[10], kid = ARGV[7], client = ARGV[4], purpose = ARGV[5],
  salt = ARGV[8], digest = ARGV[9], sends = {{state = 's', at = now, route = ''}}, approval = '',
}
add_send(row, limits, slot_of(requester, verification_id, 1), now)
table.insert(row.live, {id = short(verification_id), expires_at = record.expires_at, attempts = attempts})
if slow then row.slow_at = now end
local sends_left, resend_at = resend_facts(record, row, limits, requester, now)
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
return answer(record, now, sends_left, resend_at)
