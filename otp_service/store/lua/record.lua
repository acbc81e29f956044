-- The record of a verification, `otp:{tag}:<verification_id>`. Times in ms.
--   format u8 = 1 | state u8: p a x c | code type u8: d n | attempts left u8 | attempts allowed u8
--     | sends allowed u8
--   issued_at u48 | life u24: expires_at - issued_at
--   kid, client, purpose, salt, digest: length u8 and bytes; salt and digest are empty once it has ended
--   sends u8, each: state u8 (s u a r d n) | at u24 after issued_at | route: length u8 and bytes
--     | reason, where the state is n: length u8 and bytes
--   where the state is a: which call approved it: length u8 and bytes | when, by that call's clock u48

local function read_sends(s, at, issued_at)
  local sends, count = {}, byte(s, at)
  at = at + 1
  for i = 1, count do
    local state, sent_at, route, reason = sub(s, at, at), issued_at + read_u24(s, at + 1)
    route, at = read_text(s, at + 4)
    if state == 'n' then reason, at = read_text(s, at) end
    sends[i] = {state = state, at = sent_at, route = route, reason = reason}
  end
  return sends, at
end

-- Returns nil where there is none, false where a newer version wrote it.
local function load_record(key)
  local s = redis.call('GET', key)
  if not s then return nil end
  if byte(s, 1) ~= 1 then return false end
  local state, issued_at = sub(s, 2, 2), read_u48(s, 7)
  local left, allowed, sends_allowed = byte(s, 4, 6)
  local kid, client, purpose, salt, digest, sends
  local at = 16
  kid, at = read_text(s, at)
  client, at = read_text(s, at)
  purpose, at = read_text(s, at)
  salt, at = read_text(s, at)
  digest, at = read_text(s, at)
  sends, at = read_sends(s, at, issued_at)
  local expires_at = issued_at + read_u24(s, 13)
  return {state = state, code_type = sub(s, 3, 3), attempts_left = left, attempts_allowed = allowed,
          sends_allowed = sends_allowed, issued_at = issued_at, expires_at = expires_at,
          kid = kid, client = client, purpose = purpose, salt = salt, digest = digest, sends = sends,
          approval = sub(s, at), stored_state = state, stored_expires_at = expires_at}
end

local function packed_record(record)
  local s = '\1' .. record.state .. record.code_type
            .. char(record.attempts_left, record.attempts_allowed, record.sends_allowed)
            .. u48(record.issued_at) .. u24(record.expires_at - record.issued_at)
            .. text(record.kid) .. text(record.client) .. text(record.purpose)
            .. text(record.salt) .. text(record.digest) .. char(#record.sends)
  for _, send in ipairs(record.sends) do
    s = s .. send.state .. u24(max(0, send.at - record.issued_at)) .. text(send.route)
    if send.state == 'n' then s = s .. text(send.reason) end
  end
  return s .. record.approval
end

-- An ended verification is a tombstone: no salt, no digest, gone TOMBSTONE after its end, whatever comes later.
-- What ends when it was to end before keeps its time to live.
local function save_record(key, record, now)
  local ends = record.expires_at
  if record.state ~= 'p' then
    record.salt, record.digest, ends = '', '', now
  end
  if record.state == record.stored_state and record.expires_at == record.stored_expires_at then
    redis.call('SET', key, packed_record(record), 'KEEPTTL')
  else
    redis.call('SET', key, packed_record(record), 'PX', max(1, ends - now + TOMBSTONE))
  end
end

-- The issue time is checked too: a clock that stepped back must not revive a code.
local function expired(record, now)
  return now >= record.expires_at or now < record.issued_at - CLOCK_SLACK
end

local ENDED = {a = 'already_verified', c = 'verification_canceled', x = 'attempts_exhausted'}

-- Why nothing more can be done with the record, or nil.
local function ended(record, client, now)
  if record == false then return 'format' end
  if not record or record.client ~= client then return 'verification_not_found' end
  if ENDED[record.state] then return ENDED[record.state] end
  if expired(record, now) then return 'verification_expired' end
end
