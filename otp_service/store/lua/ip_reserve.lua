#!lua
-- include: packing time_buckets ip_log ip_rules
-- Counts a send against its requester's address, unless that has caused too many which nobody verified.
-- Whoever verifies makes room for others behind the same address: an office is no attacker.
-- KEYS: address   ARGV: limits (sends per hour, per day, phones per day, refused at so many times that, share
--       in %), phone, solved (1: a risk challenge was)
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
local challenge, refused, wait = ip_verdict(log, read_ip_limits(ARGV[1]), ARGV[2], now)
if refused then return {'refused', refused, wait} end
if challenge and ARGV[3] ~= '1' then return {'challenge', challenge} end
log.sends[#log.sends + 1] = {at = now, phone = ARGV[2]}
save_ip_log(KEYS[1], log)
return {'ok'}
