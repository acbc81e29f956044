#!lua flags=no-writes
-- needs: bytes row record rules answer
-- A verification as it stands.
-- KEYS: row, record   ARGV: limits, requester, client
local now = clock()
local row, record = load_row(KEYS[1], now), load_record(KEYS[2])
if not row or record == false then return {'format'} end
if not record or record.client ~= ARGV[3] then return {'verification_not_found'} end
local sends_left, resend_at = resend_facts(record, row, read_limits(ARGV[1]), ARGV[2], now)
return answer(record, now, sends_left, resend_at)
