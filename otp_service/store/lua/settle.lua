#!lua
-- needs: bytes row record rules answer
-- Books how a send ended. Sends are found by their id, not by time, so this may come at any moment.
-- KEYS: row, record
-- ARGV: limits, requester, verification_id, number, settlement, route, wait ms, ttl ms
local now = clock()
local row, record = load_row(KEYS[1], now), load_record(KEYS[2])
if not row or record == false then return {'format'} end
local limits, requester, verification_id = read_limits(ARGV[1]), ARGV[2], ARGV[3]
local number, settlement = tonumber(ARGV[4]), ARGV[5]
local slot, place = find_send(row, verification_id, number)
local send = record and record.sends[number]
local pending = record and record.state == 'p'

-- States only move forward: what a report has told already stands.
local function book(state)
  if send and (send.state == 's' or send.state == 'u') then send.state, send.route = state, ARGV[6] end
end

if settlement == 'accepted' or settlement == 'unknown' then
  book(settlement == 'accepted' and 'a' or 'u')
  -- The cooldown runs from now: counted from the reservation, the provider's clock minute would be hit.
  if slot then
    remove_send(row, place)
    add_send(row, limits, slot, now)
  end
  if pending and number > 1 then
    local expires_at = min(now + ARGV[8], record.issued_at + MAX_LIFE)
    record.expires_at = max(record.expires_at, expires_at)
    local live = find_live(row, verification_id)
    if live then live.expires_at = record.expires_at end
  end
elseif settlement == 'rejected' then
  book('r')
  if pending then
    record.state = 'c'
    end_live(row, verification_id)
  end
else
  book('r')
  if slot then remove_send(row, place) end
  if settlement == 'throttled' then
    row.not_before = max(row.not_before, now + ARGV[7])
  elseif pending and number == 1 then
    -- Nothing happened, and nobody knows the verification: it was never there.
    if row.slow_at >= record.issued_at - 1000 then row.slow_at = 0 end
    end_live(row, verification_id)
    redis.call('DEL', KEYS[2])
    record = nil
  end
  if pending and number > 1 then
    -- A resend that never was: neither counted, nor does it prolong anything.
    if number == #record.sends then table.remove(record.sends) end
    local live = find_live(row, verification_id)
    if live then live.expires_at = record.expires_at end
  end
end
save_row(KEYS[1], row, now)
if not record then return {'gone'} end
save_record(KEYS[2], record, now)
local sends_left, resend_at = resend_facts(record, row, limits, requester, now)
return answer(record, now, sends_left, resend_at)
