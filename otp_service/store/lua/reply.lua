-- The reply that describes a verification.

-- Returns how many more SMS may be sent, and the earliest time of the next; 0 and 0 if none.
local function resend_facts(record, phone, limits, requester, trusted, now)
  local own = record.sends_allowed - #record.sends
  if record.state ~= 'p' or expired(record, now) or own <= 0 then return 0, 0 end
  local result = send_verdict(phone, limits, requester, trusted, now)
  local at = max(result.at, now)
  local last = record.issued_at + MAX_VERIFICATION_LIFETIME - MIN_LIFETIME_AFTER_RESEND
  if at >= record.expires_at or at > last then return 0, 0 end
  return min(own, result.left), at
end

local function verification_reply(record, now, sends_left, resend_at)
  local sends, n = {}, 0
  for _, send in ipairs(record.sends) do
    sends[n + 1], sends[n + 2], sends[n + 3], sends[n + 4] = send.state, send.at, send.route, send.reason or ''
    n = n + 4
  end
  local state = record.state
  if state == 'p' and expired(record, now) then state = 'e' end
  return {'ok', now, record.purpose, record.code_type, state, record.issued_at, record.expires_at,
          record.attempts_left, sends_left, resend_at, record.sends_allowed, sends}
end
