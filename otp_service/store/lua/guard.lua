#!lua
-- needs: bytes ring
-- Counts what was sent and verified in one scope, a day by hours and the last minutes apart.
-- Unverified is what nobody has verified for three minutes, and half of what is younger.
-- What it keeps: format u8 = 2 | hours u8 | as many hours, then minutes: number u32, sent u24, verified u24
--   Newest first, and only those in which something happened: most addresses are somebody's home.
--   format u8 = 0, of earlier versions: rings of sent and verified by hour, then by minute.
-- KEYS: guard   ARGV: sent, verified, floor, share in %, blocked at so many times the threshold
local HOUR, HOURS, MINUTE, MINUTES, SPAN_BYTES = 3600000, 24, 60000, 4, 10

local function read_spans(s, first, last)
  local spans = {}
  for at = first, last, SPAN_BYTES do
    spans[#spans + 1] = {number = read_u32(s, at), sent = read_u24(s, at + 4), verified = read_u24(s, at + 7)}
  end
  return spans
end

local function spans_of_rings(s, at, size)
  local sent, verified, spans = read_ring(s, at, size), read_ring(s, at + ring_bytes(size), size), {}
  for i = 1, size do
    if sent[i] + verified[i] > 0 then
      spans[#spans + 1] = {number = sent.span + 1 - i, sent = sent[i], verified = verified[i]}
    end
  end
  return spans
end

local function hours_and_minutes(s)
  if not s then return {}, {} end
  if byte(s, 1) == 0 then
    return spans_of_rings(s, 1, HOURS), spans_of_rings(s, 1 + 2 * ring_bytes(HOURS), MINUTES)
  end
  local minutes_at = 3 + byte(s, 2) * SPAN_BYTES
  return read_spans(s, 3, minutes_at - 1), read_spans(s, minutes_at, #s)
end

local function bounded(count)
  return max(0, min(count, 16777215))
end

-- Returns what was sent and verified in the newest `size` spans. After a clock has stepped back its newest
-- span goes on counting: nothing is forgotten.
local function counted(spans, number, size)
  if not spans[1] or spans[1].number < number then
    table.insert(spans, 1, {number = number, sent = 0, verified = 0})
  end
  local newest, sent, verified = spans[1], 0, 0
  newest.sent, newest.verified = bounded(newest.sent + ARGV[1]), bounded(newest.verified + ARGV[2])
  while spans[#spans].number <= newest.number - size do table.remove(spans) end
  for _, span in ipairs(spans) do sent, verified = sent + span.sent, verified + span.verified end
  return sent, verified
end

local function packed(spans)
  local s = ''
  for _, span in ipairs(spans) do s = s .. u32(span.number) .. u24(span.sent) .. u24(span.verified) end
  return s
end

local now = clock()
local hours, minutes = hours_and_minutes(redis.call('GET', KEYS[1]))
local sent, verified = counted(hours, floor(now / HOUR), HOURS)
local sent_now, verified_now = counted(minutes, floor(now / MINUTE), MINUTES)
redis.call('SET', KEYS[1], char(2, #hours) .. packed(hours) .. packed(minutes), 'PX', (HOURS + 1) * HOUR)

local pending = max(0, sent_now - verified_now)
local unverified = max(0, sent - verified - pending) + floor(pending / 2)
local threshold = max(tonumber(ARGV[3]), floor(verified * ARGV[4] / 100))
local level = unverified > threshold * ARGV[5] and 2 or unverified > threshold and 1 or 0
return {'ok', level, unverified, sent, verified}
