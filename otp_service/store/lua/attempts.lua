-- The attempts of the last ten minutes from one address, `otp:attempts:{tag}`: a ring of 10 minutes.
local MINUTE, MINUTES = 60000, 10

local function read_attempts(key, now)
  local minute = floor(now / MINUTE)
  local s = redis.call('GET', key)
  local ring = s and read_ring(s, 1, MINUTES) or new_ring(minute, MINUTES)
  roll(ring, minute)
  return ring
end
