#!lua
-- include: packing
-- Declares the schema version of the caller, unless a newer one is in use, and returns the one in use.
-- Value: `<version> <oldest version that may run beside it>`. A value of another form is from a newer release.
-- KEYS: schema   ARGV: version, oldest version that may run beside it, ms to live
local held = redis.call('GET', KEYS[1])
if held then
  local version = tonumber(string.match(held, '^(%d+) %d+$') or math.huge)
  if version > tonumber(ARGV[1]) then return {'ok', held} end
end
held = ARGV[1] .. ' ' .. ARGV[2]
redis.call('SET', KEYS[1], held, 'PX', ARGV[3])
return {'ok', held}
