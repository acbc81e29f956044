#!lua
-- include: packing
-- Ends a claim: a success is kept, after a refusal the key is free again.
-- KEYS: claim   ARGV: fingerprint, what ('' for a refusal), kept for ms
local now = clock()
local s = redis.call('GET', KEYS[1])
if s and sub(s, 9, 24) ~= ARGV[1] then return {'ok'} end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], char(1) .. 'd' .. u48(now) .. ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
return {'ok'}
