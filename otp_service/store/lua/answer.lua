-- What a script tells of a verification.

-- How many more SMS it may cause and when the next; 0 for never.
local function resend_facts(record, row, limits, requester, trusted, now)
  local own = record.sends_allowed - #record.sends
  if record.state ~= 'p' or expired(record, now) or own <= 0 then return 0, 0 end
  local result = send_verdict(row, limits, requester, trusted, now)
  local at = max(result.at, now)
  if at >= record.expires_at or at > record.issued_at + MAX_LIFE - MIN_RESEND_LIFE then return 0, 0 end
  return min(own, result.left), at
end

local function answer(record, now, sends_left, resend_at)
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
