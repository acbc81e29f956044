#!lua
-- needs: bytes ring attempts
-- Counts a hosted page of a client, unless it has made too many in ten minutes.
-- KEYS: pages   ARGV: limit, its name
local now, limit = clock(), tonumber(ARGV[1])
local ring = read_attempts(KEYS[1], now)
if sum(ring) >= limit then return {'refused', ARGV[2], wait_for_room(ring, limit, now)} end
add(ring, 1)
save_attempts(KEYS[1], ring)
return {'ok'}
