-- Shares: what each broad scope has counted of the SMS of one narrow scope, in spans.
--   share: size u32 of what follows | state u8 | length u8, name of the broad scope | hours u8 | hours | minutes
--   state: that of the narrow scope as the broad one was last told.
-- Clients share a prefix, and an address sees several countries: when the narrow scope accounts for its SMS, each
-- broad scope gives up what was counted there, and nothing of what was counted in another one.

local function packed_share(name, state, buckets)
  return pack('>I4BBc0', 2 + #name + #buckets, state, #name, name) .. buckets
end

local function read_shares(s)
  local shares, at = {}, 1
  while at < #s do
    local size, state, name, spans_at = unpack('>I4BBc0', s, at)
    at = at + 4 + size
    shares[#shares + 1] = {name = name, state = state, buckets = sub(s, spans_at, at - 1)}
  end
  return shares
end

-- Returns the spans of a share with what is to be counted.
local function counted_in_share(buckets, now, sent, verified)
  local size = byte(buckets, 1) * BUCKET_BYTES
  local hours, minutes = sub(buckets, 2, 1 + size), sub(buckets, 2 + size)
  hours = counted(hours, floor(now / HOUR), HOURS, sent, verified)
  minutes = counted(minutes, floor(now / MINUTE), MINUTES, sent, verified)
  return char(#hours / BUCKET_BYTES) .. hours .. minutes
end
