#!lua
-- include: packing time_buckets ip_log
-- Forgets the sends and the misses of an address; what was verified there goes on making room.
-- KEYS: address, misses
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
log.sends = {}
save_ip_log(KEYS[1], log)
redis.call('DEL', KEYS[2])
return {'ok'}
