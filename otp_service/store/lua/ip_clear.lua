#!lua
-- include: packing time_buckets ip_log
-- Erases the sends and misses of an IP address. Its approvals stay and still raise its limits.
-- KEYS: IP log, IP misses
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
log.sends = {}
save_ip_log(KEYS[1], log)
redis.call('DEL', KEYS[2])
return {'ok'}
