-- Counts of the last ten minutes, by minute: calls from one IP address about unknown verifications,
-- `otp:misses:{<IP hash>}`, and hosted pages created or opened, `otp:pages:{<client>}:<event>`, with `:<IP hash>` for
-- those from one IP address.
local MINUTE, MINUTES = 60000, 10

local function load_ten_minutes(key, now)
  local minute = floor(now / MINUTE)
  local s = redis.call('GET', key)
  local buckets = s and read_buckets(s, 1, MINUTES) or new_buckets(minute, MINUTES)
  advance(buckets, minute)
  return buckets
end

local function save_ten_minutes(key, buckets)
  redis.call('SET', key, packed_buckets(buckets), 'PX', (MINUTES + 1) * MINUTE)
end

-- Returns the ms until enough of the oldest counts have expired for one more to fit.
local function wait_for_room(buckets, limit, now)
  local left, wait = sum(buckets), 0
  for i = MINUTES, 1, -1 do
    if left < limit then break end
    left = left - buckets[i]
    wait = (buckets.newest + 1 + MINUTES - i) * MINUTE - now
  end
  return wait
end
