#!lua flags=no-writes
-- include: packing time_buckets ip_log ip_rules ten_minutes
-- Returns the counts of an IP address, and what its next send to a new phone would meet.
-- KEYS: IP log, IP misses   ARGV: limits
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
local challenge, refused, wait = ip_verdict(log, read_ip_limits(ARGV[1]), '', now)
local misses = load_ten_minutes(KEYS[2], now)
return {'ok', #times_since(log.sends, now - HOUR), #log.sends, #latest_of_each_phone(log.sends, ''),
        approved_count(log), sum(misses), challenge or '', refused or '', wait}
