-- Shares: what each broad scope has counted of the SMS of one narrow scope, in spans.
--   share: size u32 of what follows | state u8 | length u8, name of the broad scope | hours u8 | hours | minutes
--   state: that of the narrow scope as the broad one was last told.
-- Clients share a prefix, and an address sees several countries: when the narrow scope accounts for its SMS, each
-- broad scope gives up what was counted there, and nothing of what was counted in another one.

local function share_of(name, state, spans)
  return pack('>I4BBc0', 2 + #name + #spans, state, #name, name) .. spans
end

local function read_shares(s)
  local shares, at = {}, 1
  while at < #s do
    local size, state, name, spans_at = unpack('>I4BBc0', s, at)
    at = at + 4 + size
    shares[#shares + 1] = {name = name, state = state, spans = sub(s, spans_at, at - 1)}
  end
  return shares
end

-- Returns the spans of a share with what is to be counted.
local function counted_in_share(spans, now, sent, verified)
  local hours, minutes = sub(spans, 2, 1 + byte(spans, 1) * SPAN_BYTES), sub(spans, 2 + byte(spans, 1) * SPAN_BYTES)
  hours = counted(hours, floor(now / HOUR), HOURS, sent, verified)
  minutes = counted(minutes, floor(now / MINUTE), MINUTES, sent, verified)
  return char(#hours / SPAN_BYTES) .. hours .. minutes
end
