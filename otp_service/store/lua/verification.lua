-- The record of a verification, `otp:{<phone hash>}:<verification hash>`. Times in ms.
--   format u8 = 1 | state u8: p a x c | code type u8: d n | attempts left u8 | attempts allowed u8
--     | sends allowed u8
--   issued_at u48 | life u24: expires_at - issued_at
--   key id, client, purpose, salt, digest: length u8 and bytes; salt and digest are empty once it has ended
--   sends u8, each: state u8 (s u a r d n) | at u24 after issued_at | route: length u8 and bytes
--     | reason, where the state is n: length u8 and bytes
--   where the state is a: fingerprint of the call that approved it: length u8 and bytes | time of that call u48

local function read_sends(s, count, at, issued_at)
  local sends = {}
  for i = 1, count do
    local state, after, route, reason
    state, after, route, at = unpack('>c1I3Bc0', s, at)
    if state == 'n' then reason, at = unpack('Bc0', s, at) end
    sends[i] = {state = state, at = issued_at + after, route = route, reason = reason}
  end
  return sends, at
end

-- Returns nil if there is no record, false if a newer version wrote it.
local function load_verification(key)
  local s = redis.call('GET', key)
  if not s then return nil end
  if byte(s, 1) ~= 1 then return false end
  local state, code_type, left, allowed, sends_allowed, issued_at, life, kid, client, purpose, salt, digest, count, at
    = unpack('>xc1c1BBBI6I3Bc0Bc0Bc0Bc0Bc0B', s)
  local sends, expires_at = nil, issued_at + life
  sends, at = read_sends(s, count, at, issued_at)
  return {state = state, code_type = code_type, attempts_left = left, attempts_allowed = allowed,
          sends_allowed = sends_allowed, issued_at = issued_at, expires_at = expires_at,
          kid = kid, client = client, purpose = purpose, salt = salt, digest = digest, sends = sends,
          approval = sub(s, at), stored_state = state, stored_expires_at = expires_at}
end

local function packed_verification(record)
  local kid, client, purpose, salt, digest = record.kid, record.client, record.purpose, record.salt, record.digest
  local s = pack('>Bc1c1BBBI6I3Bc0Bc0Bc0Bc0Bc0B', 1, record.state, record.code_type,
                 record.attempts_left, record.attempts_allowed, record.sends_allowed,
                 record.issued_at, record.expires_at - record.issued_at,
                 #kid, kid, #client, client, #purpose, purpose, #salt, salt, #digest, digest, #record.sends)
  for _, send in ipairs(record.sends) do
    s = s .. pack('>c1I3Bc0', send.state, max(0, send.at - record.issued_at), #send.route, send.route)
    if send.state == 'n' then s = s .. pack('Bc0', #send.reason, send.reason) end
  end
  return s .. record.approval
end

-- An ended verification is a tombstone without salt and digest. It expires ENDED_RETENTION after its end, whatever
-- happens later. If neither the state nor the expiry has changed, the time to live stays.
local function save_verification(key, record, now)
  local ends = record.expires_at
  if record.state ~= 'p' then
    record.salt, record.digest, ends = '', '', now
  end
  if record.state == record.stored_state and record.expires_at == record.stored_expires_at then
    redis.call('SET', key, packed_verification(record), 'KEEPTTL')
  else
    redis.call('SET', key, packed_verification(record), 'PX', max(1, ends - now + ENDED_RETENTION))
  end
end

-- The issue time is checked too, so that a clock that stepped back does not revive a code.
local function expired(record, now)
  return now >= record.expires_at or now < record.issued_at - CLOCK_SLACK
end

local function belongs_to(record, client)
  return record and record.client == client
end

local ENDED = {a = 'already_verified', c = 'verification_canceled', x = 'attempts_exhausted'}

-- Returns why the verification can no longer be used, or nil.
local function end_reason(record, now)
  if ENDED[record.state] then return ENDED[record.state] end
  if expired(record, now) then return 'verification_expired' end
end
