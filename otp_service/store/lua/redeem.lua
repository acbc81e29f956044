#!lua
-- include: packing
-- Uses a proof up, once; the call that did may be repeated. KEYS: redeemed   ARGV: which call, kept for ms
local by = redis.call('GET', KEYS[1])
if not by then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {'ok', 0}
end
if ARGV[1] ~= '' and by == ARGV[1] then
  -- Written again, so that who waits for replicas waits for this.
  redis.call('SET', KEYS[1], by, 'KEEPTTL')
  return {'ok', 1}
end
return {'redeemed'}
