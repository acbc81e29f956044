#!lua
-- needs: bytes ring
-- Counts what was sent and verified in one scope, a day by hours and the last minutes apart.
-- Unverified is what nobody has verified for three minutes, and half of what is younger.
-- What it keeps: format u8 = 2 | hours u8 | as many hours, then minutes: number u32, sent u24, verified u24
--   Newest first, and only those in which something happened: most addresses are somebody's home.
--   format u8 = 0, of earlier versions: rings of sent and verified by hour, then by minute.
-- KEYS: guard   ARGV: sent, verified, floor, share in %, blocked at so many times the threshold
local HOUR, HOURS, MINUTE, MINUTES, SPAN_BYTES = 3600000, 24, 60000, 4, 10

local function span(number, sent, verified)
  return u32(number) .. u24(sent) .. u24(verified)
end

local function spans_of_rings(s, at, size)
  local sent, verified, spans = read_ring(s, at, size), read_ring(s, at + ring_bytes(size), size), ''
  for i = 1, size do
    if sent[i] + verified[i] > 0 then spans = spans .. span(sent.span + 1 - i, sent[i], verified[i]) end
  end
  return spans
end

local function hours_and_minutes(s)
  if not s then return '', '' end
  if byte(s, 1) == 0 then
    return spans_of_rings(s, 1, HOURS), spans_of_rings(s, 1 + 2 * ring_bytes(HOURS), MINUTES)
  end
  local minutes_at = 3 + byte(s, 2) * SPAN_BYTES
  return sub(s, 3, minutes_at - 1), sub(s, minutes_at)
end

local function bounded(count)
  return max(0, min(count, 16777215))
end

-- Returns the newest `size` spans with what is to be counted, and what they have sent and verified in all.
-- After a clock has stepped back their newest one goes on counting: nothing is forgotten.
local function counted(spans, number, size)
  local sent, verified = 0, 0
  if spans ~= '' and read_u32(spans, 1) >= number then
    number, sent, verified = read_u32(spans, 1), read_u24(spans, 5), read_u24(spans, 8)
    spans = sub(spans, 1 + SPAN_BYTES)
  end
  while spans ~= '' and read_u32(spans, #spans + 1 - SPAN_BYTES) <= number - size do
    spans = sub(spans, 1, -1 - SPAN_BYTES)
  end
  sent, verified = bounded(sent + ARGV[1]), bounded(verified + ARGV[2])
  local newest = span(number, sent, verified)
  for at = 5, #spans, SPAN_BYTES do
    local a, b, c, d, e, f = byte(spans, at, at + 5)
    sent, verified = sent + (a * 256 + b) * 256 + c, verified + (d * 256 + e) * 256 + f
  end
  return newest .. spans, sent, verified
end

local now = clock()
local hours, minutes = hours_and_minutes(redis.call('GET', KEYS[1]))
local sent, verified, sent_now, verified_now
hours, sent, verified = counted(hours, floor(now / HOUR), HOURS)
minutes, sent_now, verified_now = counted(minutes, floor(now / MINUTE), MINUTES)
redis.call('SET', KEYS[1], char(2, #hours / SPAN_BYTES) .. hours .. minutes, 'PX', (HOURS + 1) * HOUR)

local pending = max(0, sent_now - verified_now)
local unverified = max(0, sent - verified - pending) + floor(pending / 2)
local threshold = max(tonumber(ARGV[3]), floor(verified * ARGV[4] / 100))
local level = unverified > threshold * ARGV[5] and 2 or unverified > threshold and 1 or 0
return {'ok', level, unverified, sent, verified}
