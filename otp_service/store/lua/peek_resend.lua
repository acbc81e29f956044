#!lua flags=no-writes
-- needs: bytes row record rules
-- First flush of a resend: may this phone get another SMS for this verification now?
-- It tells the newest send too, since one of unknown outcome must be asked about first.
-- KEYS: row, record   ARGV: limits, requester, client
local now = clock()
local row, record = load_row(KEYS[1], now), load_record(KEYS[2])
if not row then return {'format'} end
local why = ended(record, ARGV[3], now)
if why then return {why} end
local refusal = refused(send_verdict(row, read_limits(ARGV[1]), ARGV[2], now), now)
if refusal then return refusal end
local reply, last = {'ok', is_known(row, now), 0}, record.sends[#record.sends]
if last then
  for _, fact in ipairs({now, record.purpose, #record.sends, last.state, last.at, last.route}) do
    reply[#reply + 1] = fact
  end
end
return reply
