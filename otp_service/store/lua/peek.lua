#!lua flags=no-writes
-- needs: bytes row record rules
-- First flush of a request: may this phone (and, with a second key, this verification) get an SMS now?
-- KEYS: row [, record]   ARGV: limits, requester, attempts, client
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local limits = read_limits(ARGV[1])
local result
if KEYS[2] then
  local record = load_record(KEYS[2])
  local why = ended(record, ARGV[4], now)
  if why then return {why} end
  result = send_verdict(row, limits, ARGV[2], now)
else
  result = open_verdict(row, limits, ARGV[2], tonumber(ARGV[3]), now)
end
return refused(result, now) or {'ok', row.known_at > now - MEMORY and row.known_at > 0 and 1 or 0}
