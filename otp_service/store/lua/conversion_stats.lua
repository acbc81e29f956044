#!lua
-- include: packing time_buckets sparse_buckets conversion_shares
-- Counts what was sent and verified in one narrow scope (prefix, address): a day by hours, and the last minutes.
-- What it keeps: state u8 | hours u8 | as many hours, then minutes, in spans (`spans.lua`) | shares (`shares.lua`)
--   Only those in which something happened: most addresses are somebody's home.
--   state: 2 calm, 3 suspect, 4 tripped. What is not calm accounts for its SMS: the broad scopes leave them out.
--   0, of earlier versions: rings of sent and verified by hour, then by minute.
-- Suspect is a scope in which nearly nothing was verified: one more SMS, and more than `strict`, and two for each
-- that was verified, are not.
-- KEYS: guard   ARGV: sent, verified, least, share in %, blocked at so many times the threshold, strict,
--   settle: 1 when SMS have gone out or were verified, which may change the state; 0 when one may go out.
--   More to settle: how many SMS have gone out, whether the first flush has counted them or `sent` does, and the
--   names of the broad scopes in which they and the verified ones belong.
-- Returns level, unverified, sent, verified, is suspect, state.
-- More to settle: the state that each of those broad scopes was told before, one u8 each, then the name, that state
-- and the spans of every share whose broad scope is to be told another one.
local CALM, SUSPECT, TRIPPED, FIRST_NAME = 2, 3, 4, 9

-- Counts in the shares of the named broad scopes and says `state` to all; appends to `reply` what they must learn.
local function settled(shares, state, now, reply)
  local counts = ARGV[2] ~= '0' or ARGV[8] ~= '0'
  local by_name, told, kept = {}, '', ''
  for _, share in ipairs(shares) do by_name[share.name] = share end
  for i = FIRST_NAME, #ARGV do
    local share = by_name[ARGV[i]] or {name = ARGV[i], state = CALM, buckets = '\0'}
    told = told .. char(share.state)
    if counts then
      share.buckets = counted_in_share(share.buckets, now, ARGV[8], ARGV[2])
      if not by_name[share.name] then shares[#shares + 1] = share end
    end
  end
  reply[#reply + 1] = told
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

local now, settles = clock(), ARGV[7] == '1'
local kept = redis.call('GET', KEYS[1])
local hours, rest = hours_and_rest(kept)
local minutes, shares = minutes_and_rest(rest)
local sent, verified, sent_now, verified_now
hours, sent, verified = counted(hours, floor(now / HOUR), HOURS, ARGV[1], ARGV[2])
minutes, sent_now, verified_now = counted(minutes, floor(now / MINUTE), MINUTES, ARGV[1], ARGV[2])

-- What is asked of a scope that settles is what the next SMS would meet.
local more = settles and 1 or 0
local unverified = unverified_of(sent + more, verified, sent_now + more, verified_now)
local level = level_of(unverified, verified, tonumber(ARGV[3]), ARGV[4], ARGV[5])
local suspect = sent + more - verified > ARGV[6] + 2 * verified

local state = kept and max(byte(kept, 1), CALM) or CALM
if settles then state = level > 0 and TRIPPED or suspect and SUSPECT or CALM end
local reply = {'ok', level, unverified, sent, verified, suspect and 1 or 0, state}
if settles then shares = settled(read_shares(shares), state, now, reply) end
local all = char(state, #hours / BUCKET_BYTES) .. hours .. minutes .. shares
redis.call('SET', KEYS[1], all, 'PX', (HOURS + 1) * HOUR)
return reply
