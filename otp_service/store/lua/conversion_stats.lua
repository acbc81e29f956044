#!lua
-- include: packing sparse_buckets conversion_shares
-- Counts the SMS sent and verified in one narrow scope (prefix, IP address) by hour for 24 hours, and by minute for
-- the last minutes.
-- Value: state u8 | number of hours u8 | the hours, then the minutes (`sparse_buckets.lua`)
--     | shares (`conversion_shares.lua`)
--   state: 2 calm, 3 suspect, 4 tripped. Broad scopes do not count the SMS of a scope that is not calm.
-- A scope is suspect if almost nothing in it was verified: with one more SMS, the unverified ones would exceed
-- `strict` plus twice the verified ones.
-- KEYS: conversion stats
-- ARGV: sent, verified, min_unverified, max_unverified_ratio in %, block_multiplier, strict,
--   update: 1 if SMS were sent or verified, which may change the state; 0 if an SMS is about to be sent.
--   With update: how many SMS were sent in total, including those that the pre-check has already counted and that
--   are not in `sent`; then the names of the broad scopes to which these SMS belong.
-- Returns level, unverified, sent, verified, is suspect, state.
--   With update: the states last reported to those broad scopes, u8 each; then for every share whose broad scope
--   must learn of a new state: its name, the state last reported and its buckets.
local CALM, SUSPECT, TRIPPED, FIRST_NAME = 2, 3, 4, 9

-- Counts in the shares of the named broad scopes and sets `state` in all shares. Appends the changes
-- for the broad scopes to `reply`. Returns the packed shares.
local function updated_shares(shares, state, now, reply)
  local counts = ARGV[2] ~= '0' or ARGV[8] ~= '0'
  local by_name, reported, kept = {}, '', ''
  for _, share in ipairs(shares) do by_name[share.name] = share end
  for i = FIRST_NAME, #ARGV do
    local share = by_name[ARGV[i]] or {name = ARGV[i], state = CALM, buckets = '\0'}
    reported = reported .. char(share.state)
    if counts then
      share.buckets = counted_in_share(share.buckets, now, ARGV[8], ARGV[2])
      if not by_name[share.name] then shares[#shares + 1] = share end
    end
  end
  reply[#reply + 1] = reported
  for _, share in ipairs(shares) do
    if read_u32(share.buckets, 2) > floor(now / HOUR) - HOURS then
      if share.state ~= state then
        for _, fact in ipairs({share.name, share.state, share.buckets}) do reply[#reply + 1] = fact end
      end
      kept = kept .. packed_share(share.name, state, share.buckets)
    end
  end
  return kept
end

local now, is_update = clock(), ARGV[7] == '1'
local kept = redis.call('GET', KEYS[1])
local hours, rest = hours_and_rest(kept)
local minutes, shares = minutes_and_rest(rest)
local sent, verified, sent_now, verified_now
hours, sent, verified = counted(hours, floor(now / HOUR), HOURS, ARGV[1], ARGV[2])
minutes, sent_now, verified_now = counted(minutes, floor(now / MINUTE), MINUTES, ARGV[1], ARGV[2])

-- After an update, the level is the one that the next SMS would meet.
local more = is_update and 1 or 0
local unverified = unverified_of(sent + more, verified, sent_now + more, verified_now)
local level = level_of(unverified, verified, tonumber(ARGV[3]), ARGV[4], ARGV[5])
local suspect = sent + more - verified > ARGV[6] + 2 * verified

local state = kept and byte(kept, 1) or CALM
if is_update then state = level > 0 and TRIPPED or suspect and SUSPECT or CALM end
local reply = {'ok', level, unverified, sent, verified, suspect and 1 or 0, state}
if is_update then shares = updated_shares(read_shares(shares), state, now, reply) end
local all = char(state, #hours / BUCKET_BYTES) .. hours .. minutes .. shares
redis.call('SET', KEYS[1], all, 'PX', (HOURS + 1) * HOUR)
return reply
