-- Counts of SMS sent and verified, for those hours and minutes in which there were any, newest first.
--   bucket: number u32, sent u24, verified u24
local HOUR, HOURS, MINUTE, MINUTES, BUCKET_BYTES = 3600000, 24, 60000, 4, 10
local FIRST_MINUTE = 10000000

local function bucket(number, sent, verified)
  return u32(number) .. u24(sent) .. u24(verified)
end

-- Returns the hours and the bytes after them.
local function hours_and_rest(s)
  if not s then return '', '' end
  local rest_at = 3 + byte(s, 2) * BUCKET_BYTES
  return sub(s, 3, rest_at - 1), sub(s, rest_at)
end

-- Returns the minutes and the bytes after them, which begin with a number smaller than that of any minute.
local function minutes_and_rest(s)
  local at = 1
  while at < #s and read_u32(s, at) >= FIRST_MINUTE do at = at + BUCKET_BYTES end
  return sub(s, 1, at - 1), sub(s, at)
end

local function bounded(count)
  return max(0, min(count, 16777215))
end

-- Adds the given counts to bucket `number`. Returns the newest `size` buckets and their totals of sent and verified.
-- If the clock stepped back, the newest bucket keeps counting, so that nothing is forgotten.
local function counted(buckets, number, size, more_sent, more_verified)
  local sent, verified = 0, 0
  if buckets ~= '' and read_u32(buckets, 1) >= number then
    number, sent, verified = read_u32(buckets, 1), read_u24(buckets, 5), read_u24(buckets, 8)
    buckets = sub(buckets, 1 + BUCKET_BYTES)
  end
  while buckets ~= '' and read_u32(buckets, #buckets + 1 - BUCKET_BYTES) <= number - size do
    buckets = sub(buckets, 1, -1 - BUCKET_BYTES)
  end
  sent, verified = bounded(sent + more_sent), bounded(verified + more_verified)
  local newest = bucket(number, sent, verified)
  for at = 5, #buckets, BUCKET_BYTES do
    local a, b, c, d, e, f = byte(buckets, at, at + 5)
    sent, verified = sent + (a * 256 + b) * 256 + c, verified + (d * 256 + e) * 256 + f
  end
  return newest .. buckets, sent, verified
end

-- Returns the SMS that have been unverified for three minutes, plus half of the younger unverified ones.
local function unverified_of(sent, verified, sent_now, verified_now)
  local pending = max(0, sent_now - verified_now)
  return max(0, sent - verified - pending) + floor(pending / 2)
end

-- Returns 2 above `block_multiplier` times the threshold, 1 above the threshold, else 0.
local function level_of(unverified, verified, min_unverified, max_unverified_ratio, block_multiplier)
  local threshold = max(min_unverified, floor(verified * max_unverified_ratio / 100))
  return unverified > threshold * block_multiplier and 2 or unverified > threshold and 1 or 0
end
