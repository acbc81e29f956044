#!lua flags=no-writes
-- needs: bytes row record rules
-- First flush of a request: may this phone (and, with a second key, this verification) get an SMS now?
-- KEYS: row [, record]   ARGV: limits, requester, attempts, client
-- Of a verification it tells the newest send too, since one of unknown outcome must be asked about first.
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local limits = read_limits(ARGV[1])
local result, record, slow, _
if KEYS[2] then
  record = load_record(KEYS[2])
  local why = ended(record, ARGV[4], now)
  if why then return {why} end
  result = send_verdict(row, limits, ARGV[2], now)
else
  result, _, slow = open_verdict(row, limits, ARGV[2], tonumber(ARGV[3]), now)
end
local refusal = refused(result, now)
if refusal then return refusal end
local reply = {'ok', row.known_at > now - MEMORY and row.known_at > 0 and 1 or 0, slow and 1 or 0}
local last = record and record.sends[#record.sends]
if last then
  for _, fact in ipairs({now, record.purpose, #record.sends, last.state, last.at, last.route}) do
    reply[#reply + 1] = fact
  end
end
return reply
