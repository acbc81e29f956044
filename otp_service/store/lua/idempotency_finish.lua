#!lua
-- include: packing
-- Finishes an idempotent call: keeps the result of a success; after a rejection the key can be used again.
-- KEYS: idempotency record   ARGV: fingerprint, result id ('' for a rejection), ms to live
local now = clock()
local s = redis.call('GET', KEYS[1])
if s and sub(s, 9, 24) ~= ARGV[1] then return {'ok'} end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], char(1) .. 'd' .. u48(now) .. ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
return {'ok'}
