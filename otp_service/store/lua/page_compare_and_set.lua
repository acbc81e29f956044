#!lua
-- include: packing
-- Writes a hosted page if nobody has written it since it was read; it lives no longer for that.
-- The page: format u8 = 1 | version u32 | sealed: the rest
-- KEYS: page   ARGV: the version that was read, sealed
local s = redis.call('GET', KEYS[1])
if not s then return {'gone'} end
if byte(s, 1) ~= 1 then return {'format'} end
local version = read_u32(s, 2)
if version ~= tonumber(ARGV[1]) then return {'gone'} end
redis.call('SET', KEYS[1], char(1) .. u32(version + 1) .. ARGV[2], 'KEEPTTL')
return {'ok'}
