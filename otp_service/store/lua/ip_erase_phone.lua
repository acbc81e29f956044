#!lua
-- include: packing time_buckets ip_log
-- Removes a phone from the log of an IP address. KEYS: IP log   ARGV: short phone hash
local now = clock()
local log = load_ip_log(KEYS[1], now)
if not log then return {'format'} end
local kept = {}
for _, send in ipairs(log.sends) do
  if send.phone ~= ARGV[1] then kept[#kept + 1] = send end
end
local gone = #log.sends - #kept
if gone > 0 then
  log.sends = kept
  save_ip_log(KEYS[1], log)
end
return {'ok', gone}
