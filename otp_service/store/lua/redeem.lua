#!lua
-- include: packing
-- Marks a proof as used, once; the call that did so may be repeated.
-- KEYS: redeemed   ARGV: fingerprint of the call, ms to live
local by = redis.call('GET', KEYS[1])
if not by then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {'ok', 0}
end
if ARGV[1] ~= '' and by == ARGV[1] then
  -- Written again, so that WAIT has a write to wait for.
  redis.call('SET', KEYS[1], by, 'KEEPTTL')
  return {'ok', 1}
end
return {'redeemed'}
