#!lua flags=no-writes
-- needs: bytes row rules
-- What is counted of a phone, and what its next verification would meet: for a trusted call, and for another.
-- KEYS: row   ARGV: limits, client, attempts of a new verification
local now = clock()
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
local limits, attempts = read_limits(ARGV[1]), tonumber(ARGV[3])

local function times(events)
  local at = {}
  for i, event in ipairs(events) do at[i] = event.at end
  return at
end

local function verdict(trusted)
  local result, reserved, slow = open_verdict(row, limits, NOBODY, trusted, ARGV[2], attempts, now)
  return {slow and 1 or 0, is_locked(row, limits, reserved, trusted) and 1 or 0,
          result.at > now and result.name or '', max(0, result.at - now)}
end

local live = 0
for _, entry in ipairs(row.live) do
  if entry.expires_at > now then live = live + 1 end
end
return {'ok', now, times(row.sends), times(row.failures), row.untrusted_failures, row.trusted_failures, live,
        is_known(row, now), #row.requesters, verdict(false), verdict(true)}
