#!lua
-- needs: bytes ring
-- Counts what was sent and verified in one scope, a day by hours and the last minutes apart.
-- Unverified is what nobody has verified for three minutes, and half of what is younger.
-- KEYS: guard   ARGV: sent, verified, floor, share in %, blocked at so many times the threshold
local HOUR, HOURS, MINUTE, MINUTES = 3600000, 24, 60000, 4
local now = clock()
local hour, minute = floor(now / HOUR), floor(now / MINUTE)
local function rings(s)
  if not s then
    return {new_ring(hour, HOURS), new_ring(hour, HOURS), new_ring(minute, MINUTES), new_ring(minute, MINUTES)}
  end
  local long, short = ring_bytes(HOURS), ring_bytes(MINUTES)
  return {read_ring(s, 1, HOURS), read_ring(s, 1 + long, HOURS), read_ring(s, 1 + 2 * long, MINUTES),
          read_ring(s, 1 + 2 * long + short, MINUTES)}
end
local all = rings(redis.call('GET', KEYS[1]))
local sent, verified, sent_now, verified_now = all[1], all[2], all[3], all[4]
roll(sent, hour)
roll(verified, hour)
roll(sent_now, minute)
roll(verified_now, minute)
add(sent, tonumber(ARGV[1]))
add(sent_now, tonumber(ARGV[1]))
add(verified, tonumber(ARGV[2]))
add(verified_now, tonumber(ARGV[2]))
local packed = {}
for i, ring in ipairs(all) do packed[i] = packed_ring(ring) end
redis.call('SET', KEYS[1], table.concat(packed), 'PX', (HOURS + 1) * HOUR)

local pending = math.max(0, sum(sent_now) - sum(verified_now))
local unverified = math.max(0, sum(sent) - sum(verified) - pending) + floor(pending / 2)
local threshold = math.max(tonumber(ARGV[3]), floor(sum(verified) * ARGV[4] / 100))
local level = unverified > threshold * ARGV[5] and 2 or unverified > threshold and 1 or 0
return {'ok', level, unverified, sum(sent), sum(verified)}
