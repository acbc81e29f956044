#!lua flags=no-writes
-- needs: bytes row record rules answer
-- A verification as it stands. What is not found costs the same, whoever's phone was named.
-- KEYS: row, record   ARGV: limits, asking, verification, client, 1 if only who opened it may reach it
local now = clock()
local record = load_record(KEYS[2])
if not is_of(record, ARGV[4]) then return record == false and {'format'} or {'verification_not_found'} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local requester, trusted = read_asking(ARGV[2], row)
if ARGV[5] == '1' and not is_opened_by(row, ARGV[3], requester) then return {'verification_not_found'} end
local sends_left, resend_at = resend_facts(record, row, read_limits(ARGV[1]), requester, trusted, now)
return answer(record, now, sends_left, resend_at)
