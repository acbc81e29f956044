#!lua
-- needs: bytes ring attempts
-- Adds to the misses of the last ten minutes from one address: calls about verifications that do not exist.
-- KEYS: misses   ARGV: how many, limit
local now = clock()
local ring = read_attempts(KEYS[1], now)
add(ring, tonumber(ARGV[1]))
save_attempts(KEYS[1], ring)
return {'ok', sum(ring), wait_for_room(ring, tonumber(ARGV[2]), now)}
