#!lua
-- include: packing time_buckets ip_log
-- Removes a send that ip_reserve has counted, because no SMS was sent. KEYS: IP log   ARGV: short phone hash
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
for i = #log.sends, 1, -1 do
  if log.sends[i].phone == ARGV[1] then
    table.remove(log.sends, i)
    save_ip_log(KEYS[1], log)
    break
  end
end
return {'ok'}
