#!lua
-- include: packing time_buckets ip_log
-- Gives an address back what its requesters have verified since. KEYS: address   ARGV: phone, …
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
