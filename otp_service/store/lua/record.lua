-- The record of a verification, `otp:{tag}:<verification_id>`. Times in ms.
--   format u8 = 1 | state u8: p a x c | code type u8: d n | attempts left u8 | attempts allowed u8
--     | sends allowed u8
--   issued_at u48 | life u24: expires_at - issued_at
--   kid, client, purpose, salt, digest: length u8 and bytes; salt and digest are empty once it has ended
--   sends u8, each: state u8 (s u a r d n) | at u24 after issued_at | route: length u8 and bytes
--     | reason, where the state is n: length u8 and bytes
--   where the state is a: which call approved it: length u8 and bytes | when, by that call's clock u48

-- Returns nil where there is none, false where a newer version wrote it.
local function load_record(key)
  local s = redis.call('GET', key)
  if not s then return nil end
  if byte(s, 1) ~= 1 then return false end
  local record = {state = sub(s, 2, 2), code_type = sub(s, 3, 3), attempts_left = byte(s, 4),
                  attempts_allowed = byte(s, 5), sends_allowed = byte(s, 6), issued_at = read_u48(s, 7),
                  sends = {}}
  record.expires_at = record.issued_at + read_u24(s, 13)
  record.is_tombstone = record.state ~= 'p'
  local at = 16
  record.kid, at = read_text(s, at)
  record.client, at = read_text(s, at)
  record.purpose, at = read_text(s, at)
  record.salt, at = read_text(s, at)
  record.digest, at = read_text(s, at)
  local count = byte(s, at)
  at = at + 1
  for i = 1, count do
    local send = {state = sub(s, at, at), at = record.issued_at + read_u24(s, at + 1)}
    send.route, at = read_text(s, at + 4)
    if send.state == 'n' then send.reason, at = read_text(s, at) end
    record.sends[i] = send
  end
  if record.state == 'a' then
    record.approved_by, at = read_text(s, at)
    record.approved_at = read_u48(s, at)
  end
  return record
end

-- An ended verification is a tombstone: no salt, no digest, gone TOMBSTONE after its end, whatever comes later.
local function save_record(key, record, now)
  local ends = record.expires_at
  if record.state ~= 'p' then
    record.salt, record.digest, ends = '', '', now
  end
  local parts = {char(1), record.state, record.code_type,
                 char(record.attempts_left, record.attempts_allowed, record.sends_allowed),
                 u48(record.issued_at), u24(record.expires_at - record.issued_at),
                 text(record.kid), text(record.client), text(record.purpose), text(record.salt),
                 text(record.digest), char(#record.sends)}
  for _, send in ipairs(record.sends) do
    parts[#parts + 1] = send.state .. u24(math.max(0, send.at - record.issued_at)) .. text(send.route)
    if send.state == 'n' then parts[#parts + 1] = text(send.reason) end
  end
  if record.state == 'a' then
    parts[#parts + 1] = text(record.approved_by) .. u48(record.approved_at)
  end
  if record.is_tombstone then
    redis.call('SET', key, table.concat(parts), 'KEEPTTL')
  else
    redis.call('SET', key, table.concat(parts), 'PX', math.max(1, ends - now + TOMBSTONE))
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
