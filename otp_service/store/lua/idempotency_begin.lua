#!lua
-- include: packing
-- Begins an idempotent call: the first call with a key proceeds, later ones learn its result.
-- Record: format u8 = 1 | state u8: c in progress, d done | began_at u48 | fingerprint 16 | result id: the rest
-- KEYS: idempotency record   ARGV: fingerprint, result id of a new record, ms until abandoned, ms to live
local now = clock()
local s = redis.call('GET', KEYS[1])
local function claimed(what)
  redis.call('SET', KEYS[1], char(1) .. 'c' .. u48(now) .. ARGV[1] .. what, 'PX', ARGV[4])
end
if not s then
  claimed(ARGV[2])
  return {'new', ARGV[2]}
end
if byte(s, 1) ~= 1 then return {'format'} end
local state, claimed_at, what = sub(s, 2, 2), read_u48(s, 3), sub(s, 25)
if sub(s, 9, 24) ~= ARGV[1] then return {'other'} end
if state == 'd' then return {'done', what} end
local left = min(claimed_at, now) + ARGV[3] - now
if left > 0 then return {'busy', left} end
-- The first call was abandoned. This call takes over and finds out how far the first one got.
claimed(what)
return {'stale', what}
