#!lua
-- needs: bytes row record rules answer
-- Books how a send ended. Sends are found by their id, not by time, so this may come at any moment.
-- KEYS: row, record
-- ARGV: limits, asking, verification, number, settlement, route, wait ms, ttl ms, provider code
local now = clock()
local row, record = load_row(KEYS[1], now), load_record(KEYS[2])
if not row or record == false then return {'format'} end
local limits, verification, number, settlement = read_limits(ARGV[1]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local requester, trusted = read_asking(ARGV[2], row)
local counted, place = find_send(row, verification, number)
local send = record and record.sends[number]
local pending = record and record.state == 'p'
local route, code = sub(ARGV[6], 1, 255), sub(ARGV[9], 1, 255)

-- States only move forward: what a report has told already stands.
local function book(state)
  if send and (send.state == 's' or send.state == 'u') then send.state, send.route = state, route end
end

local function note(state)
  if counted and (counted.state == 's' or counted.state == 'u') then
    counted.state, counted.route, counted.code = state, route, code
  end
end

-- Nothing was sent: the send counts no more. What a provider refused is remembered for the operator.
local function give_back(state)
  if not counted then return end
  table.remove(row.sends, place)
  if route == '' then return end
  row.refusals[#row.refusals + 1] = {at = now, id = short(verification), number = number, state = state,
                                     route = route, code = code}
end

if settlement == 'accepted' or settlement == 'unknown' then
  local state = settlement == 'accepted' and 'a' or 'u'
  book(state)
  note(state)
  -- The cooldown runs from now: counted from the reservation, the provider's clock minute would be hit.
  if counted then
    table.remove(row.sends, place)
    counted.at = now
    row.sends[#row.sends + 1] = counted
  end
  if pending and number > 1 then
    local expires_at = min(now + ARGV[8], record.issued_at + MAX_LIFE)
    record.expires_at = max(record.expires_at, expires_at)
    local live = find_live(row, verification)
    if live then live.expires_at = record.expires_at end
  end
elseif settlement == 'rejected' then
  book('r')
  note('j')
  if pending then
    record.state = 'c'
    end_live(row, verification)
    note_end(row, verification, 'c')
  end
else
  book('r')
  give_back(settlement == 'throttled' and 't' or 'w')
  -- No code arrived, so a place in the slow lane is free again.
  local _, seat = find_seat(row, verification)
  if seat and number == 1 then table.remove(row.seats, seat) end
  if settlement == 'throttled' then
    row.not_before = max(row.not_before, now + ARGV[7])
  elseif pending and number == 1 then
    -- Nothing happened, and nobody knows the verification: it was never there.
    end_live(row, verification)
    redis.call('DEL', KEYS[2])
    record = nil
  end
  if pending and number > 1 then
    -- A resend that never was: neither counted, nor does it prolong anything.
    if number == #record.sends then table.remove(record.sends) end
    local live = find_live(row, verification)
    if live then live.expires_at = record.expires_at end
  end
end
save_row(KEYS[1], row, now)
if not record then return {'gone'} end
save_record(KEYS[2], record, now)
local sends_left, resend_at = resend_facts(record, row, limits, requester, trusted, now)
return answer(record, now, sends_left, resend_at)
