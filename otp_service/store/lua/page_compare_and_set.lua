#!lua
-- include: packing
-- Writes a hosted page unless it has been written since it was read. Its time to live does not change.
-- Page: format u8 = 1 | version u32 | encrypted: the rest
-- KEYS: page   ARGV: the version that was read, encrypted page
local s = redis.call('GET', KEYS[1])
if not s then return {'gone'} end
if byte(s, 1) ~= 1 then return {'format'} end
local version = read_u32(s, 2)
if version ~= tonumber(ARGV[1]) then return {'gone'} end
redis.call('SET', KEYS[1], char(1) .. u32(version + 1) .. ARGV[2], 'KEEPTTL')
return {'ok'}
