#!lua
-- include: packing time_buckets ten_minutes
-- Counts misses of one IP address, which are calls about verifications that do not exist.
-- Returns the misses of ten minutes, and the ms until another one is allowed.
-- KEYS: IP misses   ARGV: how many, limit
local now = clock()
local buckets = load_ten_minutes(KEYS[1], now)
add(buckets, tonumber(ARGV[1]))
save_ten_minutes(KEYS[1], buckets)
return {'ok', sum(buckets), wait_for_room(buckets, tonumber(ARGV[2]), now)}
