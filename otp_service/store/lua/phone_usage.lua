#!lua flags=no-writes
-- include: packing phone_state phone_rules
-- Returns the counts of a phone, and what its next verification would meet: in an untrusted and in a trusted call.
-- KEYS: phone state   ARGV: limits, client, attempts of a new verification
local now = clock()
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local limits, attempts = read_limits(ARGV[1]), tonumber(ARGV[3])

local function times(events)
  local at = {}
  for i, event in ipairs(events) do at[i] = event.at end
  return at
end

local function verdict(trusted)
  local result, reserved, restricted = open_verdict(phone, limits, NO_REQUESTER, trusted, ARGV[2], attempts, now)
  return {restricted and 1 or 0, is_locked(phone, limits, reserved, trusted) and 1 or 0,
          result.at > now and result.name or '', max(0, result.at - now)}
end

local open = 0
for _, entry in ipairs(phone.open_verifications) do
  if entry.expires_at > now then open = open + 1 end
end
return {'ok', now, times(phone.sends), times(phone.failures), phone.untrusted_failures, phone.trusted_failures, open,
        is_known(phone, now), #phone.requesters, verdict(false), verdict(true)}
