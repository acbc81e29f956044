#!lua
-- include: packing sparse_buckets
-- Counts the SMS sent and verified in one broad scope (country, client), without those of narrow scopes that are
-- suspect or tripped.
-- Value: format u8 = 2 | number of hours u8 | the hours, then the minutes, then the suspects (`sparse_buckets.lua`)
--   suspects: buckets by hour that contain, in place of sent, how many narrow scopes became suspect. A tripped scope
--   counts 20 times. Their bucket numbers are hours, which distinguishes them from minutes.
-- Level 1: too much is unverified, or too many narrow scopes are suspect. Narrow scopes are judged strictly.
-- Level 2: unverified exceeds `block_multiplier` times the threshold. Narrow scopes are judged more strictly.
-- Level 3: level 2, and almost nothing is verified. Every request requires a risk challenge.
-- KEYS: conversion stats
-- ARGV: sent, verified, suspects, sign (1 or -1) and buckets that a narrow scope returns (1) or removes (-1),
--   min_unverified, max_unverified_ratio in %, block_multiplier
local MIN_SUSPECTS, VERIFIED_PER_SUSPECT, VERIFIED_RATIO = 4, 100, 0.1

-- Adds or subtracts other buckets, number by number. A bucket that `buckets` no longer has is ignored.
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
if level == 2 and verified < unverified * VERIFIED_RATIO then level = 3 end
if suspected > max(MIN_SUSPECTS, floor(verified / VERIFIED_PER_SUSPECT)) then level = max(level, 1) end
return {'ok', level, unverified, sent, verified}
