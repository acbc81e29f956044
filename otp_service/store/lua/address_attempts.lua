#!lua
-- needs: bytes ring attempts
-- Adds to the attempts of the last ten minutes from one address.
-- KEYS: attempts   ARGV: how many, limit
local now = clock()
local ring = read_attempts(KEYS[1], now)
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
