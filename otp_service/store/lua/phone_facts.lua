#!lua flags=no-writes
-- needs: bytes row rules
-- What is counted of a phone, and what its next verification would meet.
-- KEYS: row   ARGV: limits, attempts of a new verification
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local limits = read_limits(ARGV[1])
local result, attempts, slow = open_verdict(row, limits, NOBODY, tonumber(ARGV[2]), now)
local live = 0
for _, entry in ipairs(row.live) do
  if entry.expires_at > now then live = live + 1 end
end
return {'ok', now, row.sent_at, row.failures, row.streak, live, is_known(row, now), slow and 1 or 0,
        row.streak + attempts > limits.lock_at and 1 or 0,
        result.at > now and result.name or '', max(0, result.at - now)}
