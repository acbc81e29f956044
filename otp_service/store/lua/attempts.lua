-- What happened in the last ten minutes, by minute: misses of one address, `otp:misses:{tag}`, and hosted
-- pages of one client that were created or opened, `otp:pages:{client}:<event>`, also from one address.
local MINUTE, MINUTES = 60000, 10

local function read_attempts(key, now)
  local minute = floor(now / MINUTE)
  local s = redis.call('GET', key)
  local ring = s and read_ring(s, 1, MINUTES) or new_ring(minute, MINUTES)
  roll(ring, minute)
  return ring
end

local function save_attempts(key, ring)
  redis.call('SET', key, packed_ring(ring), 'PX', (MINUTES + 1) * MINUTE)
end

-- When so many of the oldest have left that one more fits.
local function wait_for_room(ring, limit, now)
  local left, wait = sum(ring), 0
  for i = MINUTES, 1, -1 do
    if left < limit then break end
    left = left - ring[i]
    wait = (ring.span + 1 + MINUTES - i) * MINUTE - now
  end
  return wait
end
