#!lua
-- include: packing time_buckets ip_log ip_rules
-- Counts a send of an IP address, unless the address has too many unverified sends.
-- Verified phones raise the limits, so that the people in an office do not lock each other out.
-- KEYS: IP log   ARGV: limits, short phone hash, 1 if a risk challenge was solved or none may be required
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
local challenge, refused, wait = ip_verdict(log, read_ip_limits(ARGV[1]), ARGV[2], now)
if refused then return {'refused', refused, wait} end
if challenge and ARGV[3] ~= '1' then return {'challenge', challenge} end
log.sends[#log.sends + 1] = {at = now, phone = ARGV[2]}
save_ip_log(KEYS[1], log)
return {'ok'}
