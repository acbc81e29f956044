#!lua
-- include: packing time_buckets sparse_buckets
-- Counts in one broad scope (a country, a client) the SMS that went out and that no narrow scope accounts for.
-- What it keeps: format u8 = 2 | hours u8 | as many hours, then minutes, then suspects, in spans (`spans.lua`)
--   suspects: in the place of sent, how many narrow scopes became suspect in an hour; one that tripped is TRIPPED.
--   They are told from minutes by their numbers, which are those of hours.
--   0, of earlier versions: rings of sent and verified by hour, then by minute.
-- Level 1: narrow scopes are judged strictly, since too much is unverified here or too many of them are suspect.
-- Level 2: still more strictly, since unverified is `block_multiplier` times the threshold.
-- Level 3: everybody is asked, since nearly nothing is verified beside.
-- KEYS: guard   ARGV: sent, verified, suspects, sign (1 or -1) and spans that a narrow scope gives back or takes out,
--   least, share in %, blocked at so many times the threshold
local LEAST_SUSPECTS, VERIFIED_PER_SUSPECT, VERIFIED_SHARE = 4, 100, 0.1

-- Adds or subtracts other spans, number by number; what is gone from here already is left alone.
local function merged(buckets, others, sign)
  local by_number, result = {}, ''
  for at = 1, #others, BUCKET_BYTES do
    by_number[read_u32(others, at)] = {read_u24(others, at + 4) * sign, read_u24(others, at + 7) * sign}
  end
  for at = 1, #buckets, BUCKET_BYTES do
    local number = read_u32(buckets, at)
    local other = by_number[number] or {0, 0}
    local sent, verified = read_u24(buckets, at + 4) + other[1], read_u24(buckets, at + 7) + other[2]
    result = result .. bucket(number, bounded(sent), bounded(verified))
  end
  return result
end

local now = clock()
local kept = redis.call('GET', KEYS[1])
local hours, rest = hours_and_rest(kept)
local minutes, suspects = minutes_and_rest(rest)
local sent, verified, sent_now, verified_now, suspected
hours = counted(hours, floor(now / HOUR), HOURS, ARGV[1], ARGV[2])
minutes = counted(minutes, floor(now / MINUTE), MINUTES, ARGV[1], ARGV[2])
if ARGV[5] ~= '' then
  local size = byte(ARGV[5], 1) * BUCKET_BYTES
  hours = merged(hours, sub(ARGV[5], 2, 1 + size), ARGV[4])
  minutes = merged(minutes, sub(ARGV[5], 2 + size), ARGV[4])
end
hours, sent, verified = counted(hours, floor(now / HOUR), HOURS, 0, 0)
minutes, sent_now, verified_now = counted(minutes, floor(now / MINUTE), MINUTES, 0, 0)
suspects, suspected = counted(suspects, floor(now / HOUR), HOURS, ARGV[3], 0)

if ARGV[1] ~= '0' or ARGV[2] ~= '0' or ARGV[3] ~= '0' or ARGV[5] ~= '' then
  local all = char(2, #hours / BUCKET_BYTES) .. hours .. minutes .. suspects
  redis.call('SET', KEYS[1], all, 'PX', (HOURS + 1) * HOUR)
end
local unverified = unverified_of(sent, verified, sent_now, verified_now)
local level = level_of(unverified, verified, tonumber(ARGV[6]), ARGV[7], ARGV[8])
if level == 2 and verified < unverified * VERIFIED_SHARE then level = 3 end
if suspected > max(LEAST_SUSPECTS, floor(verified / VERIFIED_PER_SUSPECT)) then level = max(level, 1) end
return {'ok', level, unverified, sent, verified}
