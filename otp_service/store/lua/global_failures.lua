#!lua
-- include: packing
-- Counts a day's wrong codes of verifications that were never approved, and its approvals: `<wrong> <approved>`.
-- The count of wrong codes stops at 0: approvals of yesterday's verifications must not make room for wrong codes of
-- today. If processes write in a different order than things happened, it can be too high near 0, never too low.
-- KEYS: the day   ARGV: wrong (negative if verifications were approved after all), approved
local s = redis.call('GET', KEYS[1])
local wrong, approved = string.match(s or '0 0', '^(%d+) (%d+)$')
wrong = math.max(0, (wrong or 0) + ARGV[1])
approved = (approved or 0) + ARGV[2]
redis.call('SET', KEYS[1], string.format('%d %d', wrong, approved), 'PX', 172800000)
return {'ok', wrong, approved}
