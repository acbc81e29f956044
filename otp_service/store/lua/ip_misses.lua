#!lua
-- include: packing time_buckets ten_minutes
-- Adds to the misses of the last ten minutes from one address: calls about verifications that do not exist.
-- KEYS: misses   ARGV: how many, limit
local now = clock()
local buckets = load_ten_minutes(KEYS[1], now)
add(buckets, tonumber(ARGV[1]))
save_ten_minutes(KEYS[1], buckets)
return {'ok', sum(buckets), wait_for_room(buckets, tonumber(ARGV[2]), now)}
