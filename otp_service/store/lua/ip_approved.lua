#!lua
-- include: packing time_buckets ip_log
-- Counts phones as verified and removes their sends from the log of an IP address.
-- KEYS: IP log   ARGV: short phone hashes
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
for _, phone in ipairs(ARGV) do
  for i = #log.sends, 1, -1 do
    if log.sends[i].phone == phone then table.remove(log.sends, i) end
  end
end
log.verified = log.verified or new_buckets(floor(now / HOUR), HOURS)
add(log.verified, #ARGV)
save_ip_log(KEYS[1], log)
return {'ok'}
