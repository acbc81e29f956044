#!lua
-- needs: bytes ring
-- Adds to the attempts of the last ten minutes from one address.
-- KEYS: attempts   ARGV: how many, limit
local MINUTE, MINUTES = 60000, 10
local now = clock()
local minute = floor(now / MINUTE)
local s = redis.call('GET', KEYS[1])
local ring = s and read_ring(s, 1, MINUTES) or new_ring(minute, MINUTES)
roll(ring, minute)
add(ring, tonumber(ARGV[1]))
redis.call('SET', KEYS[1], packed_ring(ring), 'PX', (MINUTES + 1) * MINUTE)

-- When so many of the oldest have left that one more fits.
local total, wait = sum(ring), 0
local left = total
for i = MINUTES, 1, -1 do
  if left < tonumber(ARGV[2]) then break end
  left = left - ring[i]
  wait = (ring.span + 1 + MINUTES - i) * MINUTE - now
end
return {'ok', total, wait}
