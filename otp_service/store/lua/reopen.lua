#!lua
-- needs: bytes row record rules answer
-- Takes another send slot of a pending verification; its attempts stay as they are.
-- KEYS: row, record   ARGV: limits, asking, verification, client, ttl ms
local now = clock()
local row, record = load_row(KEYS[1], now), load_record(KEYS[2])
if not row then return {'format'} end
local limits, verification = read_limits(ARGV[1]), ARGV[3]
local requester, trusted = read_asking(ARGV[2], row)
local why = ended(record, ARGV[4], now)
if why then return {why} end
local expires_at = min(now + ARGV[5], record.issued_at + MAX_LIFE)
if expires_at - now < min(MIN_RESEND_LIFE, tonumber(ARGV[5])) then return {'verification_expired'} end
if #record.sends >= record.sends_allowed then
  return {'refused', 'verification_sends', record.expires_at - now}
end
local refusal = refused(send_verdict(row, limits, requester, trusted, now), now)
if refusal then return refusal end

table.insert(record.sends, {state = 's', at = now, route = ''})
add_send(row, slot_of(requester, verification, #record.sends), trusted, now)
-- The attempts stay reserved for the life that this send will give; the record gets it once it was sent.
local live = find_live(row, verification)
if live then live.expires_at = max(live.expires_at, expires_at) end
local sends_left, resend_at = resend_facts(record, row, limits, requester, trusted, now)
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
local reply = answer(record, now, sends_left, resend_at)
reply[#reply + 1] = record.kid
reply[#reply + 1] = record.salt
return reply
