-- Shares: how many SMS of one narrow scope each broad scope has counted.
--   share: size of the rest u32 | state u8 | length u8, name of the broad scope | number of hours u8 | hours | minutes
--   state: the state of the narrow scope that was last reported to the broad one.
-- Several clients share a prefix, and an IP address sends to several countries. When the narrow scope accounts for
-- its SMS, each broad scope gives up exactly those that it has counted itself.

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

-- Adds the given counts to the buckets of a share.
local function counted_in_share(buckets, now, sent, verified)
  local size = byte(buckets, 1) * BUCKET_BYTES
  local hours, minutes = sub(buckets, 2, 1 + size), sub(buckets, 2 + size)
  hours = counted(hours, floor(now / HOUR), HOURS, sent, verified)
  minutes = counted(minutes, floor(now / MINUTE), MINUTES, sent, verified)
  return char(#hours / BUCKET_BYTES) .. hours .. minutes
end
